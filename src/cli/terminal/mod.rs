//! What people see: tables, times, questions, live lines. Results go to standard output, everything
//! else to standard error; colour and rewriting only where a terminal is.

mod ago;
mod ask;
mod count;
mod end;
mod foreign;
mod live;
mod out;
mod screen;
mod spark;
mod style;
mod table;

pub(super) use ago::{ago, lasted, since_ms};
pub(super) use ask::{Sure, confirmed};
pub(super) use count::{counted, grouped};
pub(super) use end::{on_end, on_interrupt};
pub(super) use foreign::Foreign;
pub(super) use live::Live;
pub(super) use out::Out;
pub(super) use screen::Screen;
pub(super) use spark::spark;
pub(super) use style::Style;
pub(super) use table::{Table, pairs};

/// A text of others: a description must not be able to move somebody's cursor.
pub(super) use crate::base::harm::harmless as safe;
