//! Evidence as bytes, and back.

use proptest::{collection, option, prelude::*};

use crate::shadow::verdict::{Evidence, Seen};

prop_compose! {
    fn seen()(
        agrees in option::of(any::<bool>()),
        errors in option::of(any::<(bool, bool)>()),
        latency_ns in option::of((any::<u64>(), 0..100_000_000u64)),
    ) -> Seen {
        Seen { agrees, errors, latency_ns }
    }
}

fn gathered(all: &[Seen]) -> Evidence {
    let mut evidence = Evidence::default();
    all.iter().for_each(|seen| evidence.add(seen));
    evidence
}

proptest! {
    #[test]
    fn what_is_written_is_read(all in collection::vec(seen(), 0..300)) {
        let evidence = gathered(&all);
        prop_assert_eq!(Evidence::from_bytes(&evidence.to_bytes()), Some(evidence));
    }

    #[test]
    fn other_bytes_are_refused_or_are_the_one_way_to_write_it(
        mut bytes in collection::vec(any::<u8>(), 0..60),
    ) {
        prop_assert!(Evidence::from_bytes(&bytes).is_none_or(|read| read.to_bytes() == bytes));
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        prop_assert!(Evidence::from_bytes(&bytes).is_none_or(|read| read.to_bytes() == bytes));
    }

    #[test]
    fn bytes_that_were_damaged_are_refused_or_are_other_evidence(
        all in collection::vec(seen(), 1..60), at in any::<prop::sample::Index>(), to in any::<u8>(),
    ) {
        let evidence = gathered(&all);
        let mut bytes = evidence.to_bytes();
        let at = at.index(bytes.len());
        let is_other = bytes[at] != to;
        bytes[at] = to;
        if let Some(read) = Evidence::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), &bytes[..]);
            prop_assert_eq!(read != evidence, is_other);
            // Whatever was read can be judged.
            let _ = read.judge(&Default::default());
        }
        bytes.truncate(at);
        prop_assert_eq!(Evidence::from_bytes(&bytes), None);
    }
}

#[test]
fn more_pairs_than_the_intervals_bear_are_refused() {
    let of = |pairs: u64| {
        let mut bytes = vec![1];
        let mut rest = pairs;
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes.extend([0; 9]);
        Evidence::from_bytes(&bytes).map(|evidence| evidence.pairs())
    };
    assert_eq!(of(300), Some(300));
    assert_eq!(of(1 << 44), Some(1 << 44));
    assert_eq!(of((1 << 44) + 1), None);
    assert_eq!(of(1 << 53), None);
}

#[test]
fn another_version_and_nothing_at_all_are_refused() {
    let bytes = Evidence::default().to_bytes();
    assert_eq!(bytes.len(), 11);
    assert_eq!(Evidence::from_bytes(&bytes), Some(Evidence::default()));
    for version in (0..=u8::MAX).filter(|version| *version != bytes[0]) {
        let mut other = bytes.clone();
        other[0] = version;
        assert_eq!(Evidence::from_bytes(&other), None);
    }
    assert_eq!(Evidence::from_bytes(&[]), None);
}
