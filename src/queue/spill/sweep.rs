//! Files that no row knows: their process died, or their removal was undone by a crash.

use std::{
    ffi::OsStr,
    fs::{self, DirEntry, ReadDir},
    io, iter,
    sync::Arc,
    time::SystemTime,
};

use super::{
    BALLAST, SpillName,
    disk::{Root, blocking},
    name::parse_folder,
};

/// Entries of a folder that are looked at at once.
const PAGE_ENTRIES: usize = 512;

/// What a sweep has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A part of a folder.
#[derive(Default)]
struct Page {
    /// Files that are old enough.
    old: Vec<SpillName>,
    /// What is no file of ours.
    junk: u64,
    /// What is left of the folder; none at its end.
    rest: Option<ReadDir>,
}

pub(super) async fn sweep<F, K>(root: &Arc<Root>, before: SystemTime, known: F) -> io::Result<Swept>
where
    F: Fn(Vec<SpillName>) -> K,
    K: Future<Output = Vec<bool>>,
{
    let mut swept = Swept::default();
    let at = Arc::clone(root);
    let (folders, mut junk) = blocking(move || folders(&at)).await?;
    for folder in folders {
        let path = root.folder(folder);
        let mut rest = blocking(move || absent_is_none(fs::read_dir(path))).await?;
        while let Some(entries) = rest {
            let page = blocking(move || page(entries, folder, before)).await?;
            junk += page.junk;
            rest = page.rest;
            if page.old.is_empty() {
                continue;
            }
            let known = known(page.old.clone()).await;
            let known = known.into_iter().chain(iter::repeat(true));
            let unknown: Vec<_> = iter::zip(page.old, known)
                .filter_map(|(name, known)| (!known).then_some(name))
                .collect();
            let at = Arc::clone(root);
            let went = blocking(move || Ok(remove_all(&at, &unknown, before))).await?;
            swept.files += went.files;
            swept.bytes += went.bytes;
        }
    }
    if junk > 0 {
        let directory = root.directory().display();
        tracing::warn!(%directory, entries = junk, "found what is no spilled file, and left it");
    }
    Ok(swept)
}

/// The folders that are there, and how much else.
fn folders(root: &Root) -> io::Result<(Vec<u8>, u64)> {
    let (mut folders, mut junk) = (Vec::new(), 0);
    for entry in fs::read_dir(root.directory())? {
        let entry = entry?;
        let folder = entry.file_name().to_str().and_then(parse_folder);
        match folder {
            Some(folder) if entry.file_type()?.is_dir() => folders.push(folder),
            None if entry.file_name() == BALLAST => {}
            _ => junk += 1,
        }
    }
    folders.sort_unstable();
    Ok((folders, junk))
}

fn page(mut entries: ReadDir, folder: u8, before: SystemTime) -> io::Result<Page> {
    let mut page = Page::default();
    for _ in 0..PAGE_ENTRIES {
        let Some(entry) = entries.next().transpose()? else {
            return Ok(page);
        };
        // Gone by now: somebody else has removed it.
        let Some((name, is_old)) = absent_is_none(look(&entry, folder, before))? else {
            continue;
        };
        match name {
            Some(name) if is_old => page.old.push(name),
            Some(_) => {}
            None => page.junk += 1,
        }
    }
    page.rest = Some(entries);
    Ok(page)
}

/// What an entry is, and whether it was last written before a moment.
fn look(entry: &DirEntry, folder: u8, before: SystemTime) -> io::Result<(Option<SpillName>, bool)> {
    let metadata = entry.metadata()?;
    let file_name = entry.file_name();
    let name = OsStr::to_str(&file_name).and_then(SpillName::parse);
    let name = name.filter(|name| name.folder() == folder && metadata.is_file());
    Ok((name, metadata.modified()? < before))
}

fn remove_all(root: &Root, names: &[SpillName], before: SystemTime) -> Swept {
    let mut swept = Swept::default();
    for &name in names {
        match remove_old(root, name, before) {
            Ok(Some(bytes)) => {
                swept.files += 1;
                swept.bytes += bytes;
            }
            Ok(None) => {}
            Err(error) => {
                let path = root.path(name);
                tracing::warn!(file = %path.display(), %error, "a file that nobody knows stays");
            }
        }
    }
    swept
}

/// Removes a file unless it was written meanwhile; answers its length.
fn remove_old(root: &Root, name: SpillName, before: SystemTime) -> io::Result<Option<u64>> {
    let path = root.path(name);
    let Some(metadata) = absent_is_none(fs::symlink_metadata(&path))? else {
        return Ok(None);
    };
    if metadata.modified()? >= before {
        return Ok(None);
    }
    Ok(absent_is_none(fs::remove_file(&path))?.map(|()| metadata.len()))
}

fn absent_is_none<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
