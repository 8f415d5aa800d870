use tokio::sync::broadcast::error::RecvError;

use super::{append, bytes, cases, delete, put, put_if, value};
use crate::{
    base::id::Revision,
    store::{
        BATCH_WRITES_MAX, CommitError, If, KEY_BYTES_MAX, Order, Store, StoreError,
        VALUE_BYTES_MAX, Write,
    },
};

cases! {
    what_was_put_is_read_until_it_is_deleted;
    conditions_hold_or_nothing_is_written;
    a_batch_is_written_whole_and_in_order;
    revisions_grow_over_everything;
    a_list_is_paged_both_ways;
    a_prefix_is_one_of_bytes;
    a_watch_sees_its_prefix_in_order;
    a_slow_watcher_is_told;
    limits_are_kept;
}

async fn what_was_put_is_read_until_it_is_deleted(store: &dyn Store) {
    assert_eq!(store.get("a").await.expect("a read"), None);
    let first = store.commit(vec![put("a", "1")]).await.expect("written");
    let record = store.get("a").await.expect("a read").expect("there");
    assert_eq!((record.key.as_str(), record.revision), ("a", first));
    assert_eq!(record.value, bytes("1"));
    let second = store.commit(vec![put("a", "2")]).await.expect("written");
    assert!(second > first);
    let record = store.get("a").await.expect("a read").expect("there");
    assert_eq!((record.revision, record.value), (second, bytes("2")));
    let gone = vec![delete("a", If::Any)];
    store.commit(gone).await.expect("deleted");
    assert_eq!(store.get("a").await.expect("a read"), None);
    let again = vec![delete("a", If::Any)];
    store.commit(again).await.expect("nothing to delete");
    // Empty values and odd keys are as good as others.
    for key in ["x/y z", "%_*", "\0", "a\0b", "ключ", "\u{10FFFF}"] {
        store.commit(vec![put(key, "")]).await.expect("written");
        assert_eq!(value(store, key).await.as_deref(), Some(""), "{key:?}");
    }
}

async fn conditions_hold_or_nothing_is_written(store: &dyn Store) {
    let first = store
        .commit(vec![put_if("a", "1", If::Absent)])
        .await
        .expect("absent");
    let refused = [
        (put_if("a", "2", If::Absent), Some(first)),
        (
            put_if("a", "2", If::Revision(Revision(first.0 + 1))),
            Some(first),
        ),
        (delete("a", If::Absent), Some(first)),
        (delete("a", If::Revision(Revision(0))), Some(first)),
        (put_if("b", "2", If::Revision(first)), None),
        (delete("b", If::Revision(Revision(u64::MAX))), None),
    ];
    for (write, expected) in refused {
        let error = store
            .commit(vec![write.clone()])
            .await
            .expect_err("refused");
        let CommitError::Conflict { key, found } = error else {
            panic!("{write:?}: {error}");
        };
        let (Write::Put { key: asked, .. } | Write::Delete { key: asked, .. }) = write else {
            unreachable!()
        };
        assert_eq!((key, found), (asked, expected));
    }
    assert_eq!(value(store, "a").await.as_deref(), Some("1"));
    assert_eq!(value(store, "b").await, None);
    let second = store
        .commit(vec![put_if("a", "2", If::Revision(first))])
        .await
        .expect("the revision");
    assert_eq!(second, Revision(first.0 + 1), "refusals use up no number");
    store
        .commit(vec![delete("a", If::Revision(second))])
        .await
        .expect("the revision");
    store
        .commit(vec![delete("a", If::Absent)])
        .await
        .expect("absent");
}

async fn a_batch_is_written_whole_and_in_order(store: &dyn Store) {
    let batch = vec![
        put("a", "1"),
        put("a", "2"),
        put_if("b", "1", If::Absent),
        delete("b", If::Any),
        put_if("b", "2", If::Absent),
        append("log", "first"),
        put("c", "1"),
        delete("c", If::Any),
        append("log", "second"),
    ];
    let first = store.commit(batch).await.expect("written");
    assert_eq!(value(store, "a").await.as_deref(), Some("2"));
    assert_eq!(value(store, "b").await.as_deref(), Some("2"));
    assert_eq!(value(store, "c").await, None);
    for key in ["a", "b"] {
        let record = store.get(key).await.expect("a read").expect("there");
        assert_eq!(record.revision, first);
    }
    // A condition sees the batch's own revision.
    let own = Revision(first.0 + 1);
    let batch = vec![put("d", "1"), put_if("d", "2", If::Revision(own))];
    assert_eq!(store.commit(batch).await.expect("written"), own);
    // The last write's condition undoes all that stood before it.
    let batch = vec![
        put("a", "3"),
        delete("b", If::Any),
        put("new", "1"),
        append("log", "third"),
        put_if("a", "4", If::Revision(first)),
    ];
    let error = store.commit(batch).await.expect_err("refused");
    let CommitError::Conflict { key, found } = error else {
        panic!("{error}");
    };
    assert_eq!((key.as_str(), found), ("a", Some(Revision(own.0 + 1))));
    assert_eq!(value(store, "a").await.as_deref(), Some("2"));
    assert_eq!(value(store, "b").await.as_deref(), Some("2"));
    assert_eq!(value(store, "new").await, None);
    let log = store
        .range("log", None, 9, Order::Up)
        .await
        .expect("a read");
    let log: Vec<_> = log.iter().map(|e| (e.sequence, e.value.clone())).collect();
    assert_eq!(log, [(1, bytes("first")), (2, bytes("second"))]);
}

async fn revisions_grow_over_everything(store: &dyn Store) {
    let mut last = Revision(0);
    for turn in 0..20 {
        let key = format!("k{}", turn % 3);
        let batch = match turn % 4 {
            0 => vec![delete(&key, If::Any)],
            1 => vec![append("log", "entry")],
            _ => vec![put(&key, "v"), put("other", "v")],
        };
        let revision = store.commit(batch).await.expect("written");
        assert_eq!(revision, Revision(last.0 + 1));
        last = revision;
    }
    store
        .append("log", vec![bytes("a"), bytes("b")])
        .await
        .expect("appended");
    let revision = store.commit(vec![put("k", "v")]).await.expect("written");
    assert_eq!(revision, Revision(last.0 + 2));
}

async fn keys(
    store: &dyn Store,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
    order: Order,
) -> Vec<String> {
    let list = store.list(prefix, after, limit, order).await;
    let list = list.expect("a list");
    list.into_iter().map(|record| record.key).collect()
}

async fn a_list_is_paged_both_ways(store: &dyn Store) {
    let all: Vec<String> = (0..25).map(|n| format!("k/{n:02}")).collect();
    let batch = all.iter().map(|key| put(key, key)).collect();
    store.commit(batch).await.expect("written");
    store
        .commit(vec![put("j", ""), put("k", ""), put("l", "")])
        .await
        .expect("written");
    for order in [Order::Up, Order::Down] {
        let mut expected = all.clone();
        if order == Order::Down {
            expected.reverse();
        }
        for limit in [1, 7, 25, 26, usize::MAX] {
            let mut pages = Vec::new();
            loop {
                let after = pages.last().map(String::as_str);
                let page = keys(store, "k/", after, limit, order).await;
                assert!(page.len() <= limit);
                if page.is_empty() {
                    break;
                }
                pages.extend(page);
            }
            assert_eq!(pages, expected, "{order:?} by {limit}");
        }
    }
    assert!(keys(store, "k/", None, 0, Order::Up).await.is_empty());
    // `after` need not exist, nor lie inside the prefix.
    let up = |after| keys(store, "k/", Some(after), 1, Order::Up);
    let down = |after| keys(store, "k/", Some(after), 1, Order::Down);
    assert_eq!(up("k/07x").await, ["k/08"]);
    assert_eq!(down("k/07x").await, ["k/07"]);
    assert_eq!(up("a").await, ["k/00"]);
    assert_eq!(down("z").await, ["k/24"]);
    assert!(up("z").await.is_empty());
    assert!(down("a").await.is_empty());
    assert!(up("k/24").await.is_empty());
    assert!(down("k/00").await.is_empty());
}

async fn a_prefix_is_one_of_bytes(store: &dyn Store) {
    let mut all = [
        "a",
        "a/",
        "a/\0",
        "a/b",
        "a/é",
        "a/\u{10FFFF}",
        "a/\u{10FFFF}z",
        "a0",
        "aB",
        "a_",
        "b",
        "ÿ",
        "ÿÿ",
        "Ā",
        "\u{7F}",
        "\u{80}",
        "\u{10FFFF}",
        "\u{10FFFF}\u{10FFFF}",
    ];
    let batch = all.iter().map(|key| put(key, "")).collect();
    store.commit(batch).await.expect("written");
    all.sort_by_key(|key| key.as_bytes());
    for prefix in [
        "",
        "a",
        "a/",
        "a/\u{10FFFF}",
        "a_",
        "A",
        "%",
        "ÿ",
        "\u{7F}",
        "\u{80}",
        "\u{10FFFF}",
        "c",
    ] {
        let expected: Vec<&str> = all
            .into_iter()
            .filter(|key| key.starts_with(prefix))
            .collect();
        assert_eq!(
            keys(store, prefix, None, 99, Order::Up).await,
            expected,
            "{prefix:?}"
        );
        let mut down = keys(store, prefix, None, 99, Order::Down).await;
        down.reverse();
        assert_eq!(down, expected, "{prefix:?}");
    }
}

async fn a_watch_sees_its_prefix_in_order(store: &dyn Store) {
    store
        .commit(vec![put("a/0", "before")])
        .await
        .expect("written");
    let (mut some, mut all) = (store.watch("a/"), store.watch(""));
    let batch = vec![
        put("a/1", "1"),
        put("b", "1"),
        put("a/2", "2"),
        delete("a/0", If::Any),
        delete("a/none", If::Any),
    ];
    let first = store.commit(batch).await.expect("written");
    let conflict = vec![put("a/3", "3"), put_if("a/1", "", If::Absent)];
    store.commit(conflict).await.expect_err("refused");
    let second = store.commit(vec![put("a/1", "9")]).await.expect("written");
    for (revision, key, value) in [
        (first, "a/1", Some("1")),
        (first, "a/2", Some("2")),
        (first, "a/0", None),
        (second, "a/1", Some("9")),
    ] {
        let change = some.next().await.expect("a change");
        assert_eq!((change.revision, change.key.as_str()), (revision, key));
        assert_eq!(change.value, value.map(bytes));
    }
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(all.next().await.expect("a change").key);
    }
    assert_eq!(seen, ["a/1", "b", "a/2", "a/0", "a/1"]);
}

async fn a_slow_watcher_is_told(store: &dyn Store) {
    let mut watch = store.watch("k");
    let many: Vec<Write> = (0..5_000).map(|n| put(&format!("k{n}"), "")).collect();
    store.commit(many).await.expect("written");
    let Err(RecvError::Lagged(missed)) = watch.next().await else {
        panic!("5,000 changes are more than a watcher may be behind");
    };
    let change = watch.next().await.expect("what is left");
    assert_eq!(change.key, format!("k{missed}"));
}

async fn limits_are_kept(store: &dyn Store) {
    let long = "k".repeat(KEY_BYTES_MAX);
    let large = "v".repeat(VALUE_BYTES_MAX);
    store
        .commit(vec![put(&long, &large)])
        .await
        .expect("within");
    assert_eq!(value(store, &long).await, Some(large.clone()));
    let over = [
        vec![],
        vec![put("", "")],
        vec![delete("", If::Any)],
        vec![append("", "")],
        vec![put("kept out", ""), put(&format!("{long}k"), "")],
        vec![put("kept out", &format!("{large}v"))],
        vec![append("kept out", &format!("{large}v"))],
        vec![append(&format!("{long}k"), "")],
        vec![delete("a", If::Any); BATCH_WRITES_MAX + 1],
    ];
    for batch in over {
        let count = batch.len();
        let error = store.commit(batch).await.expect_err("beyond a limit");
        let CommitError::Store(StoreError::Invalid(_)) = error else {
            panic!("a batch of {count}: {error}");
        };
    }
    for entries in [vec![], vec![bytes(&format!("{large}v"))]] {
        let error = store.append("kept out", entries).await;
        assert!(matches!(error, Err(StoreError::Invalid(_))), "{error:?}");
    }
    assert_eq!(value(store, "kept out").await, None);
    let entries = store.range("kept out", None, 9, Order::Up).await;
    assert!(entries.expect("a read").is_empty());
}
