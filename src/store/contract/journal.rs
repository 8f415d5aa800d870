use super::{append, bytes, cases, put, put_if};
use crate::store::{If, Order, Store};

cases! {
    entries_are_numbered_within_their_topic;
    a_range_is_paged_both_ways;
    a_sequence_is_never_used_twice;
    a_long_trim_takes_all_it_should;
}

async fn sequences(store: &dyn Store, topic: &str) -> Vec<u64> {
    let all = store.range(topic, None, usize::MAX, Order::Up).await;
    all.expect("a read").iter().map(|e| e.sequence).collect()
}

async fn entries_are_numbered_within_their_topic(store: &dyn Store) {
    assert!(sequences(store, "a").await.is_empty());
    let three = vec![bytes("1"), bytes("2"), bytes("3")];
    assert_eq!(store.append("a", three).await.expect("appended"), 3);
    let one = || vec![bytes("1")];
    assert_eq!(store.append("b", one()).await.expect("appended"), 1);
    assert_eq!(store.append("a", one()).await.expect("appended"), 4);
    store
        .commit(vec![append("a", "5"), put("k", ""), append("b", "2")])
        .await
        .expect("written");
    assert_eq!(sequences(store, "a").await, [1, 2, 3, 4, 5]);
    assert_eq!(sequences(store, "b").await, [1, 2]);
    assert!(sequences(store, "").await.is_empty());
    let refused = vec![append("a", "6"), put_if("k", "", If::Absent)];
    store.commit(refused).await.expect_err("refused");
    assert_eq!(store.append("a", one()).await.expect("appended"), 6);
}

async fn a_range_is_paged_both_ways(store: &dyn Store) {
    let entries = (1..=10).map(|n| bytes(&n.to_string())).collect();
    store.append("t", entries).await.expect("appended");
    store.append("u", vec![bytes("x")]).await.expect("appended");
    let cases: [(Option<u64>, usize, Order, &[u64]); 10] = [
        (None, 3, Order::Up, &[1, 2, 3]),
        (Some(3), 3, Order::Up, &[4, 5, 6]),
        (Some(8), 3, Order::Up, &[9, 10]),
        (Some(10), 3, Order::Up, &[]),
        (Some(u64::MAX), 3, Order::Up, &[]),
        (None, 3, Order::Down, &[10, 9, 8]),
        (Some(3), 3, Order::Down, &[2, 1]),
        (Some(u64::MAX), 1, Order::Down, &[10]),
        (Some(1), 3, Order::Down, &[]),
        (None, 0, Order::Down, &[]),
    ];
    for (after, limit, order, expected) in cases {
        let page = store.range("t", after, limit, order).await;
        let page = page.expect("a read");
        let found: Vec<u64> = page.iter().map(|e| e.sequence).collect();
        assert_eq!(found, expected, "{after:?} {limit} {order:?}");
        for entry in page {
            assert_eq!(entry.value, bytes(&entry.sequence.to_string()));
        }
    }
}

async fn a_sequence_is_never_used_twice(store: &dyn Store) {
    let five = vec![bytes("x"); 5];
    assert_eq!(store.append("t", five).await.expect("appended"), 5);
    assert_eq!(store.trim("t", 9).await.expect("trimmed"), 0);
    assert_eq!(store.trim("t", 5).await.expect("trimmed"), 0);
    assert_eq!(store.trim("t", 2).await.expect("trimmed"), 3);
    assert_eq!(sequences(store, "t").await, [4, 5]);
    assert_eq!(store.trim("t", 0).await.expect("trimmed"), 2);
    assert_eq!(store.trim("t", 0).await.expect("trimmed"), 0);
    assert!(sequences(store, "t").await.is_empty());
    let one = vec![bytes("x")];
    assert_eq!(store.append("t", one).await.expect("appended"), 6);
    assert_eq!(sequences(store, "t").await, [6]);
    assert_eq!(store.trim("unknown", 0).await.expect("trimmed"), 0);
    store.append("u", vec![bytes("x")]).await.expect("appended");
    assert_eq!(store.trim("t", 0).await.expect("trimmed"), 1);
    assert_eq!(sequences(store, "u").await, [1], "another topic's stay");
}

async fn a_long_trim_takes_all_it_should(store: &dyn Store) {
    let many = vec![bytes("x"); 12_000];
    store.append("t", many).await.expect("appended");
    assert_eq!(store.trim("t", 7).await.expect("trimmed"), 11_993);
    let left: Vec<u64> = (11_994..=12_000).collect();
    assert_eq!(sequences(store, "t").await, left);
}
