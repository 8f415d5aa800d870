use std::sync::Arc;

use tokio::task::JoinSet;

use super::*;

const TASKS: u64 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_that_compete_are_all_counted() {
    const EACH: u64 = 8;
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(open(directory.path()));
    store.commit(vec![put("n", "0")]).await.expect("written");
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut conflicts = 0u64;
            let mut done = 0;
            while done < EACH {
                let record = store.get("n").await.expect("a read").expect("there");
                let text = std::str::from_utf8(&record.value).expect("text");
                let next = text.parse::<u64>().expect("a number") + 1;
                let write = Write::Put {
                    key: "n".into(),
                    value: next.to_string().into(),
                    condition: If::Revision(record.revision),
                };
                match store.commit(vec![write]).await {
                    Ok(_) => done += 1,
                    Err(CommitError::Conflict { .. }) => conflicts += 1,
                    Err(CommitError::Store(error)) => panic!("{error}"),
                }
            }
            conflicts
        });
    }
    let conflicts: u64 = tasks.join_all().await.into_iter().sum();
    assert!(conflicts > 0, "nobody competed");
    let record = store.get("n").await.expect("a read").expect("there");
    assert_eq!(record.value, (TASKS * EACH).to_string());
    assert_eq!(record.revision, Revision(TASKS * EACH + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_together_is_synced_together() {
    const EACH: u64 = 20;
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(open(directory.path()));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for n in 0..EACH {
                let batch = vec![put(&format!("{task}/{n}"), "v")];
                store.commit(batch).await.expect("written");
            }
        });
    }
    tasks.join_all().await;
    let (commits, syncs) = store.commits_and_syncs();
    assert_eq!(commits, TASKS * EACH);
    assert!(syncs * 2 < commits, "{syncs} syncs for {commits} commits");
    let mut revisions: Vec<u64> = all(&store, "").await.iter().map(|r| r.revision.0).collect();
    revisions.sort_unstable();
    let expected: Vec<u64> = (1..=TASKS * EACH).collect();
    assert_eq!(revisions, expected, "each commit has its own");
}

#[tokio::test]
async fn a_refused_batch_leaves_nothing_in_the_group_of_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(open(directory.path()));
    store
        .commit(vec![put("there", "v")])
        .await
        .expect("written");
    let mut watch = store.watch("");
    let (commits, syncs) = store.commits_and_syncs();
    let mut holding = JoinSet::new();
    let release = hold(&store, &mut holding).await;
    let mut tasks = JoinSet::new();
    for n in 0..9 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut batch = vec![
                put(&format!("k{n}"), "v"),
                Write::Append {
                    topic: "log".into(),
                    value: n.to_string().into(),
                },
            ];
            if n % 3 == 1 {
                let key = "there".into();
                let condition = If::Absent;
                batch.push(Write::Delete { key, condition });
            }
            (n, store.commit(batch).await)
        });
    }
    let_in_group(release).await;
    holding.join_all().await;
    let mut written: Vec<u64> = Vec::new();
    for (n, answer) in tasks.join_all().await {
        match answer {
            Ok(revision) => {
                assert_ne!(n % 3, 1);
                written.push(revision.0);
                let change = watch.next().await.expect("a change");
                assert_eq!(change.revision, revision);
                assert_eq!(change.key, format!("k{n}"));
            }
            Err(CommitError::Conflict { key, .. }) => {
                assert_eq!((n % 3, key.as_str()), (1, "there"));
            }
            Err(CommitError::Store(error)) => panic!("{error}"),
        }
    }
    assert_eq!(written, [2, 3, 4, 5, 6, 7]);
    let keys: Vec<String> = all(&store, "k").await.into_iter().map(|r| r.key).collect();
    assert_eq!(keys, ["k0", "k2", "k3", "k5", "k6", "k8"]);
    let log = store
        .range("log", None, 99, Order::Up)
        .await
        .expect("a read");
    let log: Vec<_> = log.iter().map(|e| (e.sequence, e.value.to_vec())).collect();
    let expected: Vec<_> = (1..)
        .zip([0, 2, 3, 5, 6, 8].map(|n: u8| vec![b'0' + n]))
        .collect();
    assert_eq!(log, expected);
    // The one that held the writer wrote nothing.
    assert_eq!(store.commits_and_syncs(), (commits + 7, syncs + 1));
}

#[tokio::test]
async fn asking_for_nothing_costs_no_sync() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    for _ in 0..10 {
        assert!(store.lease(vec![], 1).await.expect("none").is_empty());
        assert_eq!(store.trim("none", 0).await.expect("none"), 0);
        assert_eq!(store.void_leases().await.expect("none"), 0);
    }
    assert_eq!(store.commits_and_syncs(), (30, 0));
}

/// Prints what a machine does; not a check of anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn commits_a_second() {
    for tasks in [1, 16, 64] {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Arc::new(open(directory.path()));
        let began = std::time::Instant::now();
        let mut running = JoinSet::new();
        for task in 0..tasks {
            let store = Arc::clone(&store);
            running.spawn(async move {
                let mut n = 0;
                while began.elapsed().as_secs() < 3 {
                    let batch = vec![put(&format!("{task}/{n}"), "v")];
                    store.commit(batch).await.expect("written");
                    n += 1;
                }
            });
        }
        running.join_all().await;
        let seconds = began.elapsed().as_secs_f64();
        let (commits, syncs) = store.commits_and_syncs();
        let rate = commits as f64 / seconds;
        println!("{tasks} tasks: {rate:.0} commits/s, {commits} commits in {syncs} syncs");
    }
}
