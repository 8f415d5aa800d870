//! What one deployment's exchanges in one role come to: plain numbers that only grow, read by the
//! monitoring series every few seconds.
//!
//! ```text
//! exchange ──▶ RoleMeters ──▶ Tally ◀── monitor: reads, keeps the difference
//! ```
//!
//! Nothing is lost here, unlike at the door for outcomes, and an ordinary request costs nothing
//! beside what `/metrics` has to count anyway: how many there were is how many durations were
//! recorded.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

use super::{
    outcome::{Ended, Role},
    seconds::Seconds,
    table,
};
use crate::{
    base::name::DeploymentName,
    fault::{Code, Origin},
};

/// How an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Failed {
    /// The request was at fault: the backend answered 4xx, or weir did.
    ClientError,
    /// The backend answered 5xx.
    BackendError,
    /// No backend took a connection.
    Unreachable,
    /// A backend was reached and gave no answer, or one that is none.
    BadAnswer,
    /// It took too long.
    Timeout,
    /// The answer broke off, or became larger than is read.
    Broken,
    /// weir turned it away: it had no room, or the deployment is stopped.
    Refused,
    /// The client went away.
    ClientGone,
}

/// What one deployment's exchanges in one role come to.
pub struct Tally {
    name: DeploymentName,
    role: Role,
    pub(super) duration: Seconds,
    pub(super) first_byte: Seconds,
    pub(super) request_bytes: AtomicU64,
    pub(super) response_bytes: AtomicU64,
    in_flight: AtomicI64,
    streams: AtomicI64,
    /// The most that were open at once since it was last read.
    streams_most: AtomicI64,
    failed: [AtomicU64; Failed::ALL.len()],
    /// Refused before they became exchanges.
    turned_away: AtomicU64,
    retries: AtomicU64,
    copies: AtomicU64,
    drops: AtomicU64,
    /// Nobody writes to it any more.
    is_over: AtomicBool,
}

/// A tally as it stood when it was read. Histograms are read by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes of requests' bodies.
    pub request_bytes: u64,
    /// Bytes of answers' bodies.
    pub response_bytes: u64,
    /// Failures, in the order of [`Failed::ALL`].
    pub failed: [u64; Failed::ALL.len()],
    /// Requests that were refused before they became exchanges.
    pub turned_away: u64,
    /// Requests sent again to a backend.
    pub retries: u64,
    /// Copies sent to the challenger.
    pub copies: u64,
    /// Copies not made, or given up.
    pub drops: u64,
}

/// Every tally that is written to, and those that ended since they were last looked at.
static ALL: Mutex<Vec<Arc<Tally>>> = Mutex::new(Vec::new());

/// Tallies that have ended are let go of beyond this number even when nobody looks at them.
const OVER_MAX: usize = 1_024;

// === impl Failed ===

impl Failed {
    /// Every kind, in the order in which they are kept: new ones come last.
    pub const ALL: [Self; 8] = [
        Self::ClientError,
        Self::BackendError,
        Self::Unreachable,
        Self::BadAnswer,
        Self::Timeout,
        Self::Broken,
        Self::Refused,
        Self::ClientGone,
    ];

    /// How an exchange failed; none when it did not.
    pub fn of(ended: Ended, status: Option<u16>, fault: Option<Code>) -> Option<Self> {
        match (ended, status, fault) {
            (Ended::ClientGone, ..) => Some(Self::ClientGone),
            (Ended::BackendBroke | Ended::TooLarge, ..) => Some(Self::Broken),
            (Ended::TimedOut, ..) => Some(Self::Timeout),
            (Ended::Complete, _, Some(code)) => Some(Self::of_fault(code)),
            (Ended::Complete, Some(400..500), None) => Some(Self::ClientError),
            (Ended::Complete, Some(500..), None) => Some(Self::BackendError),
            (Ended::Complete, Some(_), None) => None,
            (Ended::Complete, None, None) => Some(Self::Refused),
        }
    }

    fn of_fault(code: Code) -> Self {
        match code {
            Code::BackendUnreachable => Self::Unreachable,
            Code::BackendTimeout | Code::ExchangeTimeout => Self::Timeout,
            code => match code.entry().origin {
                Origin::Client => Self::ClientError,
                Origin::Backend => Self::BadAnswer,
                Origin::Gateway => Self::Refused,
            },
        }
    }

    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientError => "client_error",
            Self::BackendError => "backend_error",
            Self::Unreachable => "unreachable",
            Self::BadAnswer => "bad_answer",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Refused => "refused",
            Self::ClientGone => "client_gone",
        }
    }

    /// Whether it is the client's own doing.
    pub fn is_clients(self) -> bool {
        matches!(self, Self::ClientError | Self::ClientGone)
    }
}

// === impl Tally ===

impl Tally {
    pub(super) fn new(name: &DeploymentName, role: Role) -> Arc<Self> {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = [name.project(), name.deployment(), role.as_str()];
        // Two of the same name share their histograms. Made under the lock, so that whoever visits
        // can tell a histogram that begins anew from one that goes on.
        let tally = Arc::new(Self {
            name: name.clone(),
            role,
            duration: Seconds::fine(&table::DURATION, &labels),
            first_byte: Seconds::fine(&table::FIRST_BYTE, &labels),
            request_bytes: AtomicU64::new(0),
            response_bytes: AtomicU64::new(0),
            in_flight: AtomicI64::new(0),
            streams: AtomicI64::new(0),
            streams_most: AtomicI64::new(0),
            failed: Default::default(),
            turned_away: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            copies: AtomicU64::new(0),
            drops: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        if all.len() == all.capacity() && all.len() >= OVER_MAX {
            all.retain(|tally| !tally.is_over());
        }
        all.push(Arc::clone(&tally));
        tally
    }

    /// The deployment.
    pub fn name(&self) -> &DeploymentName {
        &self.name
    }

    /// The role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether nobody writes to it any more.
    pub fn is_over(&self) -> bool {
        // Acquire pairs with the Release in `end`: whoever sees it sees all that was counted.
        self.is_over.load(Ordering::Acquire)
    }

    pub(super) fn end(&self) {
        self.duration.let_go();
        self.first_byte.let_go();
        self.is_over.store(true, Ordering::Release);
    }

    /// From a request's head to its last byte.
    pub fn duration(&self) -> &Seconds {
        &self.duration
    }

    /// From a request's head to the head of its answer.
    pub fn first_byte(&self) -> &Seconds {
        &self.first_byte
    }

    /// Reads what has been counted. Relaxed, as all of it: each is a figure by itself, and what is not
    /// seen now is seen the next time.
    pub fn read(&self) -> Counts {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            request_bytes: get(&self.request_bytes),
            response_bytes: get(&self.response_bytes),
            failed: self.failed.each_ref().map(get),
            turned_away: get(&self.turned_away),
            retries: get(&self.retries),
            copies: get(&self.copies),
            drops: get(&self.drops),
        }
    }

    /// Exchanges under way.
    pub fn in_flight(&self) -> u64 {
        // Below zero for a moment at worst, when two threads race.
        u64::try_from(self.in_flight.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// The most streams that were open at once since [`Tally::begin_streams`] was called last.
    pub fn streams_most(&self) -> u64 {
        u64::try_from(self.streams_most.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// From now on the most streams are counted anew.
    pub fn begin_streams(&self) {
        let open = self.streams.load(Ordering::Relaxed);
        if self.streams_most.load(Ordering::Relaxed) != open {
            self.streams_most.store(open, Ordering::Relaxed);
        }
    }

    pub(super) fn enter(&self, is_stream: bool) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        if is_stream {
            let open = self.streams.fetch_add(1, Ordering::Relaxed) + 1;
            self.streams_most.fetch_max(open, Ordering::Relaxed);
        }
    }

    pub(super) fn leave(&self, is_stream: bool) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        if is_stream {
            self.streams.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn fail(&self, failed: Failed) {
        self.failed[failed as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn turn_away(&self, code: Code) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
        self.fail(Failed::of_fault(code));
    }

    pub(super) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn copy(&self) {
        self.copies.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn drop_copy(&self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

/// Looks at every tally, and at those that ended since the last visit once more. None is made
/// meanwhile, and none goes.
pub fn visit<T>(look: impl FnOnce(&[Arc<Tally>]) -> T) -> T {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    // What is over before it is looked at has been read to its end afterwards.
    let over: Vec<bool> = all.iter().map(|tally| tally.is_over()).collect();
    let looked = look(&all);
    let mut over = over.into_iter();
    all.retain(|_| !over.next().unwrap_or(false));
    looked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_told_by_how_it_ended() {
        use Ended::{BackendBroke, ClientGone, Complete, TimedOut, TooLarge};
        for (ended, status, fault, failed) in [
            (Complete, Some(200), None, None),
            (Complete, Some(304), None, None),
            (Complete, Some(404), None, Some(Failed::ClientError)),
            (Complete, Some(429), None, Some(Failed::ClientError)),
            (Complete, Some(500), None, Some(Failed::BackendError)),
            (Complete, Some(999), None, Some(Failed::BackendError)),
            (
                Complete,
                Some(413),
                Some(Code::BodyTooLarge),
                Some(Failed::ClientError),
            ),
            (
                Complete,
                Some(503),
                Some(Code::BackendUnreachable),
                Some(Failed::Unreachable),
            ),
            (
                Complete,
                Some(503),
                Some(Code::BackendBusy),
                Some(Failed::Refused),
            ),
            (
                Complete,
                Some(500),
                Some(Code::Internal),
                Some(Failed::Refused),
            ),
            (
                Complete,
                Some(502),
                Some(Code::BackendFailed),
                Some(Failed::BadAnswer),
            ),
            (
                Complete,
                Some(502),
                Some(Code::BackendMalformed),
                Some(Failed::BadAnswer),
            ),
            (
                Complete,
                Some(504),
                Some(Code::BackendTimeout),
                Some(Failed::Timeout),
            ),
            (
                Complete,
                Some(504),
                Some(Code::ExchangeTimeout),
                Some(Failed::Timeout),
            ),
            (TimedOut, Some(200), None, Some(Failed::Timeout)),
            (BackendBroke, Some(200), None, Some(Failed::Broken)),
            (TooLarge, Some(200), None, Some(Failed::Broken)),
            (ClientGone, None, None, Some(Failed::ClientGone)),
            (ClientGone, Some(500), None, Some(Failed::ClientGone)),
            (Complete, None, None, Some(Failed::Refused)),
        ] {
            assert_eq!(
                Failed::of(ended, status, fault),
                failed,
                "{ended:?} {status:?} {fault:?}"
            );
        }
        for (i, failed) in Failed::ALL.into_iter().enumerate() {
            assert_eq!(failed as usize, i);
        }
    }

    #[test]
    fn the_most_streams_of_a_while_are_those_open_at_once() {
        let name = DeploymentName::parse("tally/streams").expect("a name");
        let tally = Tally::new(&name, Role::Main);
        (0..3).for_each(|_| tally.enter(true));
        tally.enter(false);
        (0..2).for_each(|_| tally.leave(true));
        assert_eq!((tally.streams_most(), tally.in_flight()), (3, 2));
        tally.begin_streams();
        assert_eq!(tally.streams_most(), 1);
        tally.enter(true);
        tally.leave(true);
        assert_eq!(tally.streams_most(), 2);
        tally.leave(true);
        tally.begin_streams();
        assert_eq!(tally.streams_most(), 0);
        tally.end();
    }

    #[test]
    fn one_that_is_over_is_looked_at_once_more() {
        let name = DeploymentName::parse("tally/over").expect("a name");
        let tally = Tally::new(&name, Role::Main);
        let mine = Arc::clone(&tally);
        let there = || visit(|all| all.iter().any(|other| Arc::ptr_eq(other, &mine)));
        assert!(there() && there());
        tally.end();
        // Another test's visit may have been the one.
        there();
        assert!(!there());
    }
}
