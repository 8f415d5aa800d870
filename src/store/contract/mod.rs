//! What every store has to keep, as cases that run over each of them.

mod jobs;
mod journal;
mod records;
mod twin;

use bytes::Bytes;

use super::{If, Sqlite, SqliteOptions, Store, Write, memory::Memory};

/// Runs each case over a new store of each kind.
macro_rules! cases {
    ($($(#[$doc:meta])* $case:ident;)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&crate::store::memory::Memory::new()).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                let (store, _directory) = crate::store::contract::sqlite();
                super::$case(&store).await;
            })*
        }
    };
}
use cases;

fn sqlite() -> (Sqlite, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Sqlite::open(directory.path(), SqliteOptions::default()).expect("a store");
    (store, directory)
}

/// Both kinds, for one comparison.
fn both() -> (Sqlite, Memory, tempfile::TempDir) {
    let (store, directory) = sqlite();
    (store, Memory::new(), directory)
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(key: &str, value: &str) -> Write {
    put_if(key, value, If::Any)
}

fn put_if(key: &str, value: &str, condition: If) -> Write {
    Write::Put {
        key: key.into(),
        value: bytes(value),
        condition,
    }
}

fn delete(key: &str, condition: If) -> Write {
    let key = key.into();
    Write::Delete { key, condition }
}

fn append(topic: &str, value: &str) -> Write {
    Write::Append {
        topic: topic.into(),
        value: bytes(value),
    }
}

async fn value(store: &dyn Store, key: &str) -> Option<String> {
    let record = store.get(key).await.expect("a read")?;
    Some(String::from_utf8(record.value.to_vec()).expect("text"))
}
