//! Which file, and where it stands.

use std::path::PathBuf;

use crate::base::async_id::AsyncId;

/// Which file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpillName {
    /// A request's body.
    Body(AsyncId),
    /// The answer that an attempt got.
    Answer(AsyncId, u32),
}

// === impl SpillName ===

impl SpillName {
    /// Whose it is.
    pub fn id(self) -> AsyncId {
        match self {
            Self::Body(id) | Self::Answer(id, _) => id,
        }
    }

    /// Its folder: the tag is random, so that they fill evenly.
    pub(super) fn folder(self) -> u8 {
        let [byte, ..] = self.id().tag();
        byte
    }

    /// Its path below the directory.
    pub(super) fn path(self) -> PathBuf {
        let folder = folder_name(self.folder());
        PathBuf::from(folder).join(self.file_name())
    }

    /// Reads a file's name; none for anything that is not written so.
    pub(super) fn parse(file_name: &str) -> Option<Self> {
        let (id, rest) = file_name.split_once('.')?;
        let id = AsyncId::parse(id)?;
        let name = match rest.split_once('.') {
            None => Self::Body(id),
            Some((attempt, _)) => Self::Answer(id, attempt.parse().ok()?),
        };
        (name.file_name() == file_name).then_some(name)
    }

    fn file_name(self) -> String {
        match self {
            Self::Body(id) => format!("{id}.body"),
            Self::Answer(id, attempt) => format!("{id}.{attempt}.answer"),
        }
    }
}

/// A folder's name.
pub(super) fn folder_name(folder: u8) -> String {
    format!("{folder:02x}")
}

/// The folder of a name; none for anything else.
pub(super) fn parse_folder(name: &str) -> Option<u8> {
    let folder = u8::from_str_radix(name, 16).ok()?;
    (folder_name(folder) == name).then_some(folder)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::async_id::Position;

    proptest! {
        #[test]
        fn text_and_back(ms in 0u64..1 << 42, tag in any::<[u8; 16]>(), attempt in any::<u32>()) {
            let id = AsyncId::of(Position::at(ms), tag);
            for name in [SpillName::Body(id), SpillName::Answer(id, attempt)] {
                let path = name.path();
                let (folder, file) = path.to_str().unwrap().split_once('/').unwrap();
                prop_assert_eq!(parse_folder(folder), Some(name.folder()));
                prop_assert_eq!(SpillName::parse(file), Some(name));
            }
        }

        #[test]
        fn any_name(text in "[0-9A-Za-z]{33}(\\.\\PC{0,4})?(\\.[a-z]{0,7})?|\\PC{0,3}") {
            if let Some(name) = SpillName::parse(&text) {
                prop_assert_eq!(name.file_name(), text.clone());
            }
            if let Some(folder) = parse_folder(&text) {
                prop_assert_eq!(folder_name(folder), text);
            }
        }
    }

    #[test]
    fn what_is_no_name() {
        let id = AsyncId::of(Position::at(1), [7; 16]);
        for junk in [
            format!("{id}"),
            format!("{id}.body.new"),
            format!("{id}.answer"),
            format!("{id}.01.answer"),
            format!("{id}.+1.answer"),
            format!("{id}.4294967296.answer"),
            "0.body".to_owned(),
        ] {
            assert_eq!(SpillName::parse(&junk), None, "{junk}");
        }
        for junk in ["", "0", "0A", "+1", "000"] {
            assert_eq!(parse_folder(junk), None, "{junk}");
        }
    }
}
