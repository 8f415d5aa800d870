//! A plan carried out: up to 16 calls at once, stage by stage, and each deploy waited for.
//!
//! ```text
//! tenants ─▶ projects ─▶ deployments ─▶ keys ─▶ what is not declared, when all else went well
//!                          call (waits a moment) ──▶ task goes on ──▶ back into the queue: wait for it
//! ```
//!
//! A deploy that takes long does not hold up those behind it: its task is waited for when everything has
//! been asked for. Nothing is polled; the gateway holds its answer until the task has ended.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::{
    calls::{Executor, conclude},
    done::Done,
    each::AT_ONCE,
    plan::{Action, Object, Plan, Step},
};
use crate::cli::{
    failure::Failure,
    remote::Session,
    terminal::{Live, grouped, on_interrupt},
};

/// How long a call that starts a task waits for its end: most end sooner.
const SOON: Duration = Duration::from_secs(2);

/// So many tasks go on: those that come do not wait for their ends any more before the next one.
const GOING_ON_MAX: usize = 2 * AT_ONCE;

/// How often the live line shows the time pass.
const REFRESH: Duration = Duration::from_millis(100);

/// What is still to be done in a stage.
enum Job<'p> {
    /// The step has not been begun.
    Begin(&'p Step),
    /// Its task goes on.
    Wait(&'p Step, String),
}

/// What is told of a step.
enum Came<'p> {
    /// It is begun.
    Begun,
    /// It is done.
    Done(&'p Step),
    /// It failed.
    Failed(&'p Step, Failure),
}

/// The jobs of a stage, and how many of its tasks go on.
struct Queue<'p> {
    jobs: Mutex<(VecDeque<Job<'p>>, usize)>,
}

/// Carries a plan out. `timeout` is for how many seconds deploys are waited for.
pub(super) fn apply(plan: &Plan, session: &Session, timeout: Option<u64>) -> Done {
    let began = Instant::now();
    // Without it an interrupt ends the waiting just the same, only with nothing said.
    let _ = on_interrupt(|| {
        "what was begun goes on at the gateway; the same command again does the rest".to_owned()
    });
    let mut done = Done::default();
    let executor = Executor {
        client: &session.client,
        deadline: timeout.and_then(|s| began.checked_add(Duration::from_secs(s))),
    };
    let mut live = Live::new(session.out.is_quiet() || session.out.is_json());
    let total = plan.steps.len();
    for stage in stages(plan) {
        let is_final = stage.iter().any(|step| step.action.is_final());
        if is_final && !done.failed.is_empty() {
            // What was to take their place may be what failed.
            done.left += stage.len();
            continue;
        }
        executor.run(&stage, total, &mut done, &mut live);
    }
    live.clear();
    done.took = began.elapsed();
    done
}

/// The steps by what has to be there first.
fn stages(plan: &Plan) -> Vec<Vec<&Step>> {
    let stage = |step: &Step| match (&step.object, step.action) {
        (Object::Deployment(_), Action::Delete) => 4,
        (_, Action::Revoke) => 5,
        (Object::Tenant(_), _) => 0,
        (Object::Project(_), _) => 1,
        (Object::Deployment(_), _) => 2,
        (Object::Key(..), _) => 3,
    };
    let mut stages = vec![Vec::new(); 6];
    for step in &plan.steps {
        stages[stage(step)].push(step);
    }
    stages.retain(|stage| !stage.is_empty());
    stages
}

// === impl Executor ===

impl Executor<'_> {
    fn run<'p>(&self, steps: &[&'p Step], total: usize, done: &mut Done, live: &mut Live) {
        let queue = Queue {
            jobs: Mutex::new((steps.iter().map(|step| Job::Begin(step)).collect(), 0)),
        };
        let is_deploying = matches!(steps, [first, ..] if first.object.kind() == "deployment");
        let doing = if is_deploying {
            "deploying"
        } else {
            "under way"
        };
        let (tell, told) = mpsc::channel::<Came<'p>>();
        thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(steps.len()) {
                let (queue, tell) = (&queue, tell.clone());
                scope.spawn(move || {
                    // It is listened to until the last worker has gone.
                    let tell = |came| drop(tell.send(came));
                    while let Some(job) = queue.next() {
                        self.work(job, queue, &tell);
                    }
                });
            }
            drop(tell);
            let mut going_on = 0usize;
            loop {
                match told.recv_timeout(REFRESH) {
                    Ok(Came::Begun) => going_on += 1,
                    Ok(Came::Done(step)) => {
                        going_on -= 1;
                        done.count(step);
                    }
                    Ok(Came::Failed(step, failure)) => {
                        going_on -= 1;
                        done.failed.push((step.object.clone(), failure));
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
                let applied = done.applied();
                let line = format!(
                    "applied {} of {}, {} {doing}, {} failed",
                    grouped(applied),
                    grouped(total),
                    grouped(going_on),
                    grouped(done.failed.len())
                );
                // Elsewhere than on a terminal, a line for each quarter.
                live.show(&format!("{}", 4 * applied / total.max(1)), &line);
            }
        });
    }

    fn work<'p>(&self, job: Job<'p>, queue: &Queue<'p>, tell: &dyn Fn(Came<'p>)) {
        let (step, ended) = match job {
            Job::Begin(step) => {
                tell(Came::Begun);
                let wait = match queue.going_on() {
                    count if count < GOING_ON_MAX => self.patience(SOON),
                    _ => Duration::ZERO,
                };
                match self.begin(step, wait).and_then(|answer| conclude(&answer)) {
                    Ok(Some(task)) => return queue.wait(Job::Wait(step, task)),
                    ended => (step, ended.map(|_| ())),
                }
            }
            Job::Wait(step, task) => {
                let ended = self.awaited(&task);
                queue.ended();
                (step, ended)
            }
        };
        tell(match ended {
            Ok(()) => Came::Done(step),
            Err(failure) => Came::Failed(step, failure),
        });
    }
}

// === impl Queue ===

impl<'p> Queue<'p> {
    fn jobs(&self) -> MutexGuard<'_, (VecDeque<Job<'p>>, usize)> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job. When there is none, whoever puts another one there does it as well.
    fn next(&self) -> Option<Job<'p>> {
        self.jobs().0.pop_front()
    }

    /// A task goes on; what is begun goes first.
    fn wait(&self, job: Job<'p>) {
        let mut jobs = self.jobs();
        jobs.0.push_back(job);
        jobs.1 += 1;
    }

    fn ended(&self) {
        self.jobs().1 -= 1;
    }

    fn going_on(&self) -> usize {
        self.jobs().1
    }
}
