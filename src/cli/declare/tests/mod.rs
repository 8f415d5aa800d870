//! Plans of what is declared beside what stands, and what is written and read again.

mod plans;
mod round_trip;
