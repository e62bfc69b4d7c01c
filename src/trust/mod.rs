//! Whom a signature may be believed: which key may sign as whom. Formats are OpenSSH's, so that a stranger can check with
//! the tools of their own machine.

pub mod allowed;
