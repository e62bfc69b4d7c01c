//! Where a rehearsal lives: in a folder of its own, so that its lock, its links and its transcripts are beside no live ones.

use super::{Config, HubError};
use crate::name::REHEARSAL;
use crate::plan::rehearsal_data;
use crate::transcript::found::{Found, rehearsals};

/// The same, in the place that it has as a rehearsal, if it is one.
pub(super) fn placed(config: Config) -> Result<Config, HubError> {
    let Some(data) = &config.rehearsal else { return Ok(config) };
    let data = rehearsal_data(data).map_err(HubError::Rehearsal)?;
    Ok(Config { transcripts: rehearsals(&config.transcripts), rehearsal: Some(data), ..config })
}

/// A session's id: a rehearsal's begins with that word.
pub(super) fn id(config: &Config, random: String) -> String {
    match config.rehearsal {
        Some(_) => format!("{REHEARSAL}{random}"),
        None => random,
    }
}

/// An unfinished rehearsal is taken up on the data that it was begun on.
pub(super) fn same_data(found: &Found, config: &Config) -> Result<(), HubError> {
    match &found.rehearsal {
        Some(was) if config.rehearsal.as_ref() != Some(was) => {
            Err(HubError::OtherData { path: found.path.clone(), was: crate::name::shown(was) })
        }
        _ => Ok(()),
    }
}
