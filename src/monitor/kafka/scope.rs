//! Which topics a watch reads: those that are named, or every one that the group has commits on.
//!
//! Nobody but the group's coordinator knows what a group has commits on, and the call that would ask it for all of them
//! can end the whole process when a broker drops. So every topic there is gets asked about, as a consumer may. Where
//! there are many partitions that is done once a minute, and in between the topics that were found are read.

use super::{Committed, Fact, KafkaSource, Partitions, Place, chunked, group};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Up to so many partitions the question costs next to nothing and is asked in every cycle.
const FEW: usize = 2000;
/// Why a group has no topics.
pub(super) const NOWHERE: &str = "no commits on any topic that can be seen";
const AGAIN: Duration = Duration::from_secs(60);

/// The topics of one watch.
pub(super) enum Scope {
    Named(Vec<Arc<str>>),
    Group(Group),
}

/// What is known of a group's topics.
#[derive(Default)]
pub(super) struct Group {
    found: BTreeSet<Arc<str>>,
    /// When every topic was asked about, with an answer for each.
    asked: Option<Duration>,
}

type Listed = Vec<(Arc<str>, Result<Partitions, String>)>;

impl Scope {
    pub(super) fn new(topics: Vec<Arc<str>>) -> Self {
        // Named twice is read once: its lag would count twice.
        let mut seen = BTreeSet::new();
        let topics: Vec<_> = topics.into_iter().filter(|topic| seen.insert(topic.clone())).collect();
        if topics.is_empty() { Scope::Group(Group::default()) } else { Scope::Named(topics) }
    }

    /// The partitions to read in this cycle, by topic, or why a topic has none.
    pub(super) fn partitions(&mut self, source: &mut dyn KafkaSource, at: Duration, deadline: Instant) -> Listed {
        match self {
            Scope::Named(topics) => {
                topics.iter().map(|topic| (topic.clone(), source.partitions(topic, deadline))).collect()
            }
            Scope::Group(group) => group.partitions(source, at, deadline),
        }
    }
}

impl Group {
    fn partitions(&mut self, source: &mut dyn KafkaSource, at: Duration, deadline: Instant) -> Listed {
        let mut listed = match source.listed(deadline) {
            Ok(listed) => listed,
            Err(why) => return vec![("the group's topics".into(), Err(why))],
        };
        let mut answer = vec![];
        let few = listed.values().flatten().map(Vec::len).sum::<usize>() <= FEW;
        if few || self.asked.is_none_or(|asked| at.saturating_sub(asked) >= AGAIN) {
            match discover(source, &listed, deadline) {
                Ok(found) => {
                    self.found.extend(found);
                    self.asked = Some(at);
                }
                // Topics found earlier are read all the same; that there may be more is said.
                Err(why) => answer.push(("the group's other topics".into(), Err(why))),
            }
        }
        if self.found.is_empty() && answer.is_empty() {
            answer.push(("the group".into(), Err(NOWHERE.into())));
        }
        for topic in &self.found {
            answer.push(match listed.remove(topic) {
                Some(partitions) => (topic.clone(), partitions),
                None => {
                    let (topic, why) = group::gone(topic);
                    (topic, Err(why))
                }
            });
        }
        answer
    }
}

/// The topics with a commit; an error where one partition did not say.
fn discover(
    source: &mut dyn KafkaSource,
    listed: &BTreeMap<Arc<str>, Result<Partitions, String>>,
    deadline: Instant,
) -> Result<BTreeSet<Arc<str>>, String> {
    let mut places = vec![];
    for (topic, partitions) in listed {
        // A topic that cannot be read has partitions nobody can name; it shows up once it can.
        let partitions = partitions.as_ref().map_err(|why| format!("{topic}: {why}"))?;
        // The coordinator knows the commits of a partition whose leader is gone, too.
        places.extend(partitions.iter().map(|(partition, _)| Place { topic: topic.clone(), partition: *partition }));
    }
    let mut found = BTreeSet::new();
    let committed = chunked(&places, |places| source.committed(places, deadline));
    for (place, committed) in places.into_iter().zip(committed) {
        match committed {
            Fact::Known(Committed::At(_)) => drop(found.insert(place.topic)),
            Fact::Known(Committed::Never) => {}
            Fact::Unknown(why) => return Err(why.to_string()),
        }
    }
    Ok(found)
}
