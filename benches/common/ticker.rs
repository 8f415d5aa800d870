//! A timer that wakes an epoll many times in a millisecond: epoll's own timeouts are whole ones.

use std::time::Duration;

use nix::{
    errno::Errno,
    sys::{
        time::TimeSpec,
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
};

use super::Checked;

/// A timer that is not running yet.
pub(crate) fn new() -> Checked<TimerFd> {
    let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
    Ok(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?)
}

/// Makes it tick.
pub(crate) fn start(timer: &TimerFd, every_ns: u64) -> Checked<()> {
    let every = TimeSpec::from_duration(Duration::from_nanos(every_ns));
    Ok(timer.set(Expiration::Interval(every), TimerSetTimeFlags::empty())?)
}

/// Takes note of its ticks, so that it is not reported again before the next one.
pub(crate) fn clear(timer: &TimerFd) -> Checked<()> {
    match timer.wait() {
        Ok(()) | Err(Errno::EAGAIN) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
