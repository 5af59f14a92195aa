//! Which files are meant.

use super::DumpError;
use super::error::Reason;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where lines come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Input {
    StandardInput,
    File(PathBuf),
}

/// What dumps are called.
const EXTENSION: &str = ".json";
/// What stands for it in the names of metadata.
const METADATA: &str = "-metadata.json";

/// The inputs that `paths` stand for, in order.
///
/// # Errors
/// When there are none, or a folder cannot be read or has no dumps.
pub(super) fn inputs(paths: &[PathBuf]) -> Result<Vec<Input>, DumpError> {
    let mut inputs = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            inputs.push(Input::StandardInput);
        } else if path.is_dir() {
            let dumps = in_folder(path)?;
            inputs.extend(dumps.into_iter().map(Input::File));
        } else {
            inputs.push(Input::File(path.clone()));
        }
    }
    if inputs.is_empty() { Err(DumpError::general(Reason::NoPaths)) } else { Ok(inputs) }
}

/// The dumps in a folder and in the folders in it.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, DumpError> {
    let mut dumps = Vec::new();
    for path in sorted(folder)? {
        if path.is_dir() {
            dumps.extend(sorted(&path)?.into_iter().filter(|path| is_dump(path)));
        } else if is_dump(&path) {
            dumps.push(path);
        }
    }
    if dumps.is_empty() {
        return Err(Reason::EmptyFolder.of(&folder.to_string_lossy()));
    }
    Ok(dumps)
}

/// What is in a folder, by name; those that are numbers last, by number.
fn sorted(folder: &Path) -> Result<Vec<PathBuf>, DumpError> {
    let failed = |error: io::Error| Reason::Io(error).of(&folder.to_string_lossy());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<u64>().ok());
        names.push((number, name));
    }
    names.sort_unstable();
    Ok(names.into_iter().map(|(_, name): (_, OsString)| folder.join(name)).collect())
}

/// A file that is named as a dump; a link that leads nowhere, too, for which there will be an error.
fn is_dump(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let named = name.ends_with(EXTENSION) && !name.ends_with(METADATA);
    named && fs::metadata(path).map_or(true, |found| found.is_file())
}

/// What a dump's connection is called: the name of the file, without folder and extension.
pub(super) fn connection_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(EXTENSION).unwrap_or(&name).to_owned()
}

/// Where the metadata of a dump is, if there is any.
pub(super) fn metadata_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    let mut beside = match name.to_str().and_then(|name| name.strip_suffix(EXTENSION)) {
        Some(name) => OsString::from(name),
        None => name.to_owned(),
    };
    beside.push(METADATA);
    path.with_file_name(beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_of(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn found(folder: &Path) -> Vec<String> {
        let inputs = inputs(&[folder.to_owned()]).unwrap();
        let short = |input| match input {
            Input::File(path) => path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned(),
            Input::StandardInput => "-".to_owned(),
        };
        inputs.into_iter().map(short).collect()
    }

    #[test]
    fn a_folder_stands_for_its_dumps_and_those_one_level_below() {
        let folder = folder_of(&[
            "b.json",
            "a.json",
            "a-metadata.json",
            "a.txt",
            "c",
            "10/x.json",
            "9/y.json",
            "9/y.txt",
            "9/y-metadata.json",
            "9/deeper/z.json",
            "B.JSON",
            "m/k.json",
        ]);
        assert_eq!(found(folder.path()), ["a.json", "b.json", "m/k.json", "9/y.json", "10/x.json"]);
    }

    #[test]
    fn a_folder_without_dumps_is_a_mistake() {
        let folder = folder_of(&["a-metadata.json", "b.txt", "sub/c.txt"]);
        let error = inputs(&[folder.path().to_owned()]).unwrap_err();
        let shown = folder.path().display();
        let reason = "no *.json in this folder: write dumps with pcap2conn -j";
        assert_eq!(error.to_string(), format!("{shown}: {reason}"));
        assert_eq!(inputs(&[]).unwrap_err().to_string(), "no dump was named");
    }

    #[cfg(unix)]
    #[test]
    fn links_to_files_are_followed_and_special_files_are_not_opened() {
        use std::os::unix::fs::symlink;
        let folder = folder_of(&["a.json"]);
        symlink("a.json", folder.path().join("link.json")).unwrap();
        symlink("nowhere", folder.path().join("lost.json")).unwrap();
        symlink("/dev/null", folder.path().join("null.json")).unwrap();
        symlink(".", folder.path().join("self")).unwrap();
        let expected = ["a.json", "link.json", "lost.json"];
        let mut expected: Vec<String> = expected.map(str::to_owned).into();
        expected.extend(["self/a.json", "self/link.json", "self/lost.json"].map(str::to_owned));
        assert_eq!(found(folder.path()), expected);
    }

    #[test]
    fn files_and_standard_input_are_taken_as_given() {
        let paths = ["-", "none.json", "-", "./-"].map(PathBuf::from);
        let file = |name: &str| Input::File(name.into());
        let stdin = Input::StandardInput;
        let expected = [stdin.clone(), file("none.json"), stdin, file("./-")];
        assert_eq!(inputs(&paths).unwrap(), expected);
    }

    #[test]
    fn names_lose_folder_and_extension() {
        assert_eq!(connection_name(Path::new("x/20.1.json")), "20.1");
        assert_eq!(connection_name(Path::new("x/20.1")), "20.1");
        assert_eq!(metadata_path(Path::new("x/20.1.json")), Path::new("x/20.1-metadata.json"));
        assert_eq!(metadata_path(Path::new("20.1")), Path::new("20.1-metadata.json"));
    }
}
