use super::*;

cases! {
    a_list_is_paged_newest_first;
    a_list_is_of_an_owner_a_deployment_or_both;
    a_list_is_of_a_status;
    a_list_is_of_dead_letters;
    totals_are_of_all;
}

fn all() -> JobFilter {
    JobFilter::default()
}

async fn a_list_is_paged_newest_first(store: &dyn Store) {
    assert_eq!(listed(store, &all(), 3).await, [] as [u64; 0]);
    enqueue(store, [0, 3, 4, 7, 9].map(job).to_vec()).await;
    for limit in [1, 2, 4, 5, 6, 1_000, usize::MAX] {
        assert_eq!(listed(store, &all(), limit).await, [9, 7, 4, 3, 0]);
    }
    let cases: [(Option<u64>, usize, &[u64]); 6] = [
        (Some(9), 2, &[7, 4]),
        (Some(8), 1, &[7]),
        (Some(1), 9, &[0]),
        (Some(0), 9, &[]),
        (Some(i64::MAX as u64), 1, &[9]),
        (None, 0, &[]),
    ];
    for (before, limit, expected) in cases {
        let page = store.jobs(&all(), before.map(at), limit).await;
        let page = page.expect("a page");
        let found = page.jobs.iter().map(|job| job.id.position().as_u64());
        assert_eq!(found.collect::<Vec<_>>(), expected, "{before:?} {limit}");
    }
    // A whole list has no next page.
    let page = store.jobs(&all(), None, 5).await.expect("a page");
    assert_eq!((page.jobs.len(), page.next), (5, None));
}

async fn a_list_is_of_an_owner_a_deployment_or_both(store: &dyn Store) {
    let lanes = [
        lane("p/d", 1, 1),
        lane("p/d", 2, 1),
        lane("p/d", 1, 2),
        lane("p/e", 1, 1),
        lane("p/e", 1, 3),
    ];
    for n in 0..20 {
        let lane = lanes[n as usize % 5].clone();
        enqueue(store, vec![of(n, lane)]).await;
    }
    let cases: [(Option<u8>, Option<&str>, &[u64]); 7] = [
        (None, Some("p/d"), &[0, 1, 2]),
        (Some(1), None, &[0, 1, 3]),
        (Some(1), Some("p/d"), &[0, 1]),
        (Some(3), Some("p/d"), &[]),
        (Some(9), None, &[]),
        (None, Some("p"), &[]),
        (Some(3), Some("p/e"), &[4]),
    ];
    for (by, deployment, lanes) in cases {
        let filter = JobFilter {
            owner: by.map(owner),
            deployment: deployment.map(str::to_owned),
            ..all()
        };
        let of = (0..20).rev().filter(|n| lanes.contains(&(n % 5)));
        let expected: Vec<u64> = of.collect();
        for limit in [1, 3, 100] {
            assert_eq!(listed(store, &filter, limit).await, expected);
        }
    }
}

async fn a_list_is_of_a_status(store: &dyn Store) {
    enqueue(store, (0..24).map(job).collect()).await;
    for n in 0..24 {
        match JobStatus::ALL[n as usize % 6] {
            JobStatus::Queued => {}
            JobStatus::Running => drop(lease(store, &[n]).await),
            status => {
                let given = End {
                    status,
                    ..completed()
                };
                end(store, n, given).await;
            }
        }
    }
    for (rest, status) in (0..).zip(JobStatus::ALL) {
        for deployment in [None, Some("p/d".to_owned())] {
            let filter = JobFilter {
                status: Some(status),
                deployment,
                ..all()
            };
            let expected = [18, 12, 6, 0].map(|n| n + rest);
            for limit in [1, 3, 4, 100] {
                assert_eq!(listed(store, &filter, limit).await, expected);
            }
        }
    }
}

async fn a_list_is_of_dead_letters(store: &dyn Store) {
    for n in 0..12 {
        let lane = lane(["p/d", "p/e"][n as usize % 2], 1, 1);
        enqueue(store, vec![of(n, lane)]).await;
        let given = match n % 4 {
            0 | 1 => dead(),
            2 => completed(),
            _ => continue,
        };
        end(store, n, given).await;
    }
    let of = |deployment: Option<&str>, status| JobFilter {
        deployment: deployment.map(str::to_owned),
        status,
        dead: true,
        owner: None,
    };
    let cases: [(JobFilter, &[u64]); 6] = [
        (of(None, None), &[9, 8, 5, 4, 1, 0]),
        (of(Some("p/d"), None), &[8, 4, 0]),
        (of(Some("p/e"), None), &[9, 5, 1]),
        (of(Some("p/e"), Some(JobStatus::Error)), &[9, 5, 1]),
        (of(None, Some(JobStatus::Completed)), &[]),
        (of(None, Some(JobStatus::Queued)), &[]),
    ];
    for (filter, expected) in cases {
        for limit in [1, 2, 100] {
            assert_eq!(listed(store, &filter, limit).await, expected, "{filter:?}");
        }
    }
}

async fn totals_are_of_all(store: &dyn Store) {
    use crate::store::{JOB_BYTES, Totals};
    let totals = || async { store.totals().await.expect("a read") };
    assert_eq!(totals().await, Totals::default());
    let spilled = NewJob {
        body: Content::Spilled(1_000),
        ..job(12)
    };
    enqueue(store, vec![job(10), job(11), spilled]).await;
    let mut expected = Totals {
        open: 3,
        ended: 0,
        bytes: 3 * JOB_BYTES + 7 + 7 + 1_000,
        last: Some(at(12)),
    };
    assert_eq!(totals().await, expected);
    lease(store, &[10]).await;
    assert_eq!(totals().await, expected);
    // Its body goes, its answer comes.
    end(store, 10, completed()).await;
    (expected.open, expected.ended) = (2, 1);
    expected.bytes = 3 * JOB_BYTES + 6 + 7 + 1_000;
    assert_eq!(totals().await, expected);
    let answer = Some((bytes("head is not counted"), Content::Spilled(50)));
    end(store, 12, End { answer, ..dead() }).await;
    (expected.open, expected.ended) = (1, 2);
    expected.bytes = 3 * JOB_BYTES + 6 + 7 + 1_000 + 50;
    assert_eq!(totals().await, expected);
    // What goes says how much that was; its place stays given.
    for gone in store.forget(5_000, 9).await.expect("forgotten") {
        expected.bytes -= gone.bytes;
        expected.ended -= 1;
    }
    assert_eq!((expected.ended, expected.bytes), (0, JOB_BYTES + 7));
    assert_eq!(totals().await, expected);
    assert_eq!(expected.last, Some(at(12)));
}
