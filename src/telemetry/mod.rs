//! What weir tells of itself: the table of metrics, the handles made from it, and outcomes.

pub mod credit;
pub mod held;
pub mod limits;
pub mod log;
pub mod meters;
pub mod outcome;
pub mod scale;
pub mod seconds;
pub mod series;
pub mod table;
pub mod tally;
