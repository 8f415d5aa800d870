//! The real store beside the simple one: whatever is asked of records and the journal, they answer
//! the same.

use proptest::prelude::*;

use super::{append, both, bytes, delete, put_if};
use crate::{
    base::id::Revision,
    store::{If, Order, Records, Store, Write},
};

#[derive(Debug, Clone)]
enum Ask {
    Commit(Vec<Write>),
    Get(String),
    List(String, Option<String>, usize, Order),
    Append(String, usize),
    Range(String, Option<u64>, usize, Order),
    Trim(String, u64),
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "a/", "a/b", "a/c", "a0", "b", "é", "\u{10FFFF}"])
        .prop_map(str::to_owned)
}

fn prefix() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just("z".to_owned()), key()]
}

fn condition() -> impl Strategy<Value = If> {
    prop_oneof![
        3 => Just(If::Any),
        1 => Just(If::Absent),
        2 => (0..20u64).prop_map(|n| If::Revision(Revision(n))),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        3 => (key(), condition()).prop_map(|(key, condition)| put_if(&key, "v", condition)),
        1 => (key(), condition()).prop_map(|(key, condition)| delete(&key, condition)),
        1 => key().prop_map(|topic| append(&topic, "e")),
    ]
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Up), Just(Order::Down)]
}

fn ask() -> impl Strategy<Value = Ask> {
    use prop::{collection::vec, option::of};
    prop_oneof![
        4 => vec(write(), 1..4).prop_map(Ask::Commit),
        1 => key().prop_map(Ask::Get),
        2 => (prefix(), of(key()), 0..5usize, order())
            .prop_map(|(prefix, after, limit, order)| Ask::List(prefix, after, limit, order)),
        1 => (key(), 1..4usize).prop_map(|(topic, count)| Ask::Append(topic, count)),
        1 => (key(), of(0..9u64), 0..5usize, order())
            .prop_map(|(topic, after, limit, order)| Ask::Range(topic, after, limit, order)),
        1 => (key(), 0..4u64).prop_map(|(topic, keep)| Ask::Trim(topic, keep)),
    ]
}

/// The answer as text, errors and all.
async fn answer(store: &dyn Store, ask: Ask) -> String {
    match ask {
        Ask::Commit(batch) => format!("{:?}", store.commit(batch).await),
        Ask::Get(key) => format!("{:?}", store.get(&key).await),
        Ask::List(prefix, after, limit, order) => {
            let list = store.list(&prefix, after.as_deref(), limit, order).await;
            format!("{list:?}")
        }
        Ask::Append(topic, count) => {
            let entries = vec![bytes("e"); count];
            format!("{:?}", store.append(&topic, entries).await)
        }
        Ask::Range(topic, after, limit, order) => {
            format!("{:?}", store.range(&topic, after, limit, order).await)
        }
        Ask::Trim(topic, keep) => format!("{:?}", store.trim(&topic, keep).await),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn both_answer_the_same(asks in prop::collection::vec(ask(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let (real, simple, _directory) = both();
            let (mut one, mut other) = (real.watch(""), simple.watch(""));
            for ask in asks {
                let expected = answer(&simple, ask.clone()).await;
                prop_assert_eq!(answer(&real, ask.clone()).await, expected, "{:?}", ask);
            }
            // Both end by closing, when all that was committed has been seen.
            drop((real, simple));
            loop {
                let (one, other) = (one.next().await, other.next().await);
                prop_assert_eq!(&one, &other);
                if one.is_err() {
                    return Ok(());
                }
            }
        })?;
    }
}
