//! What is not begun while weir itself is short of something.

use super::exchange::Caller;
use crate::{
    base::memory::{Pressure, pressure},
    fault::{Code, Fault},
    spec::Priority,
    telemetry::{series, table},
};

/// What stands for the class of a request that nobody has looked at.
const ANY: &str = "any";

/// Before anything is decided: whether there are too many connections, or there is too little memory
/// for anything new.
pub(super) fn at_the_door(caller: &Caller) -> Result<(), Fault> {
    let reason = match pressure() {
        _ if caller.socket.is_beyond() => "connections",
        Pressure::Critical => "memory",
        Pressure::None | Pressure::High => return Ok(()),
    };
    series::count(&table::SHED, &[reason, ANY], 1);
    Err(Code::Shedding.into())
}

/// Once it is known whose it is: work that nobody waits for goes first.
pub(super) fn by_class(priority: Priority) -> Result<(), Fault> {
    if priority > Priority::Bulk || pressure() == Pressure::None {
        return Ok(());
    }
    series::count(&table::SHED, &["memory", priority.as_str()], 1);
    Err(Code::Shedding.into())
}
