//! The API's names in what it says of a call, put back into those of the command line.

use crate::cli::failure::Failure;

/// Members that flags say, and the flags.
const FLAGS: [(&str, &str); 16] = [
    ("/limits/requests_per_second", "--requests-per-second"),
    ("/limits/burst", "--burst"),
    ("/limits/concurrency_max", "--concurrency"),
    ("/limits/bytes_per_second", "--bytes-per-second"),
    ("/limits/requests_per_day", "--requests-per-day"),
    ("/limits/mode", "--count"),
    ("/overload/concurrency_max", "--concurrency"),
    ("/overload/concurrency_min", "--concurrency-min"),
    ("/overload/queue_max", "--queue"),
    ("/overload/queue_timeout_ms", "--queue-timeout-ms"),
    ("/description", "--description"),
    ("/display_name", "--display-name"),
    ("/keep_previous", "--keep-previous"),
    ("/expires_at", "--expires-in or --expires-at"),
    ("/priority", "--priority"),
    ("/access", "--access"),
];

/// The failure of a call that flags were turned into, in the words of those flags.
pub(in crate::cli) fn in_flags(failure: Failure) -> Failure {
    failure.map_details(|detail| {
        let found = FLAGS.iter().find_map(|(pointer, flag)| {
            let words = detail.strip_prefix(pointer)?.strip_prefix(": ")?;
            Some((flag, words))
        });
        match found {
            Some((flag, words)) => format!("{flag}: {}", renamed(words)),
            None => detail,
        }
    })
}

/// Words that name other members. One without an underscore may as well be a word of theirs.
fn renamed(words: &str) -> String {
    let mut words = words.to_owned();
    for (pointer, flag) in FLAGS {
        if let Some((_, member)) = pointer.rsplit_once('/')
            && member.contains('_')
        {
            words = words.replace(member, flag);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_become_flags() {
        for (said, told) in [
            (
                "/limits/burst: is how many requests may come at once within a rate: it needs \
                 requests_per_second beside it",
                "--burst: is how many requests may come at once within a rate: it needs \
                 --requests-per-second beside it",
            ),
            (
                "/overload/concurrency_min: must not be above concurrency_max, which is 4",
                "--concurrency-min: must not be above --concurrency, which is 4",
            ),
            ("/limits: must be a table", "/limits: must be a table"),
            ("/version/main: is missing", "/version/main: is missing"),
            ("names nothing to change", "names nothing to change"),
        ] {
            let failure = Failure::new("the body has a mistake").details([said.to_owned()]);
            assert_eq!(in_flags(failure).more(), [told]);
        }
    }
}
