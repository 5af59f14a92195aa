//! The interfaces of this machine, for people and as JSON.

use capture::Interface;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write, stdout};

/// Lists the interfaces on standard output.
///
/// # Errors
/// They are not known, or cannot be written.
pub(crate) fn list(as_json: bool) -> anyhow::Result<()> {
    let interfaces = capture::interfaces()?;
    let text = if as_json { json_lines(&interfaces) } else { table(&interfaces) };
    match stdout().write_all(text.as_bytes()) {
        // Whoever reads it has had enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result.map_err(|error| io::Error::new(error.kind(), "standard output"))?),
    }
}

/// A line for each: name, state, addresses; what the system says it is in the next.
fn table(interfaces: &[Interface]) -> String {
    let names = interfaces.iter().map(|interface| interface.name.chars().count());
    let width = names.max().unwrap_or(0);
    let mut text = String::new();
    for interface in interfaces {
        let Interface { name, description, addresses, .. } = interface;
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let line = format!("{name:width$}  {}  {}", state(interface), addresses.join(" "));
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", line.trim_end());
        if let Some(description) = description {
            let _ = writeln!(text, "{:width$}  {description}", "");
        }
    }
    text
}

/// What an interface is and does.
fn state(interface: &Interface) -> String {
    let &Interface { up, running, loopback, wireless, .. } = interface;
    let words = [
        (up, "up"),
        (!up, "down"),
        (running, "running"),
        (loopback, "loopback"),
        (wireless, "wireless"),
    ];
    words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect::<Vec<_>>().join(",")
}

/// An object for each, a line each, the name first.
fn json_lines(interfaces: &[Interface]) -> String {
    let mut text = String::new();
    for interface in interfaces {
        let &Interface { up, running, loopback, wireless, .. } = interface;
        let name = Value::from(interface.name.as_str());
        let description = Value::from(interface.description.as_deref());
        let addresses: Value = interface.addresses.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            text,
            "{{\"name\":{name},\"description\":{description},\"addresses\":{addresses},\"up\":{up},\
             \"running\":{running},\"loopback\":{loopback},\"wireless\":{wireless}}}"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn interfaces() -> [Interface; 2] {
        let interface = |name: &str| Interface {
            name: name.into(),
            description: None,
            addresses: Vec::new(),
            up: false,
            running: false,
            loopback: false,
            wireless: false,
        };
        [
            Interface {
                addresses: ["10.0.0.1", "fe80::1"].map(|a| a.parse().unwrap()).into(),
                up: true,
                running: true,
                wireless: true,
                description: Some("a \"card\"".into()),
                ..interface("wlan0")
            },
            interface("é"),
        ]
    }

    #[test]
    fn people_see_a_table() {
        let want = "wlan0  up,running,wireless  10.0.0.1 fe80::1\n       a \"card\"\né      down\n";
        assert_eq!(table(&interfaces()), want);
    }

    #[test]
    fn programs_read_a_line_of_json_for_each() {
        let lines = json_lines(&interfaces());
        assert!(lines.starts_with("{\"name\":"), "{lines}");
        let lines: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["addresses"], json!(["10.0.0.1", "fe80::1"]));
        assert_eq!(
            (&lines[0]["description"], &lines[0]["up"]),
            (&json!("a \"card\""), &json!(true))
        );
        assert_eq!((&lines[1]["name"], &lines[1]["description"]), (&json!("é"), &json!(null)));
    }
}
