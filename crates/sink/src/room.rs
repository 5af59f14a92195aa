//! Room on the disk for the files of a store, where that is bounded.

use crate::SinkError;
use crate::disk::Room;
use crate::leaving::Leaving;
use crate::store::Store;

impl Store {
    /// Is there room on the disk for so many bytes more of a file?
    pub(crate) fn make_room(
        &mut self,
        name: &str,
        bytes: usize,
    ) -> Result<Option<Room>, SinkError> {
        let Some(disk) = &self.disk else { return Ok(None) };
        disk.make_room(&mut self.dir, name, bytes as u64).map(Some)
    }

    /// What there was room for is written.
    pub(crate) fn give_back(&self, room: Option<Room>) {
        if let (Some(disk), Some(Room::Further(number) | Room::Anew(number))) = (&self.disk, room) {
            disk.written(number);
        }
    }

    /// Are files bounded by the disk that they take?
    pub(crate) fn has_bound(&self) -> bool {
        self.disk.is_some()
    }

    /// Writes and closes a file, if there is room on the disk.
    pub(crate) fn write_if_room(&mut self, mut gone: Leaving) -> Result<(), SinkError> {
        let room = match self.make_room(&gone.name, gone.bytes.len()) {
            Ok(room) => room,
            Err(error) => {
                self.forget(gone);
                return Err(error);
            }
        };
        match room {
            // What it may have written before was removed to make room.
            Some(Room::Anew(_)) => (gone.file, gone.created) = (None, false),
            Some(Room::None) => {
                self.forget(gone);
                return Ok(());
            }
            Some(Room::Further(_)) | None => {}
        }
        let written = match &gone.file {
            Some(_) => Ok(()),
            None => self.open_file(&gone.name, gone.created).map(|file| gone.file = Some(file)),
        };
        let written = written.and_then(|()| self.write_away(&mut gone));
        self.give_back(room);
        self.forget(gone);
        written
    }

    /// The file of a stream was removed to make room.
    pub(crate) fn begin_anew(&mut self, id: u32) {
        let stream = &mut self.streams[id];
        stream.file = None;
        let (slot, index) = (stream.slot, usize::from(stream.index));
        self.slots.set_created(slot, index, false);
        self.open.remove(id);
    }
}
