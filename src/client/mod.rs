//! A participant: connects, proves who it is, folds what comes, and publishes the newest state.

pub mod view;
