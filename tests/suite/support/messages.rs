//! The topic of a scenario on a real broker, and the group that reads it.

#[cfg(feature = "kafka")]
use super::kafka::{Reader, Topic};
#[cfg(feature = "kafka")]
use super::real::part;

/// See the module.
#[cfg(feature = "kafka")]
pub struct Messages {
    brokers: String,
    topic: Topic,
    reader: Reader,
}

#[cfg(feature = "kafka")]
impl Messages {
    /// A topic of its own; nothing where no broker runs.
    pub fn new() -> Option<Messages> {
        let brokers = part("CROSSCHECK_TEST_KAFKA")?;
        let topic = Topic::new(&brokers, 3);
        let reader = topic.reader();
        Some(Messages { brokers, topic, reader })
    }

    /// A plan with their names in it.
    pub fn named(&self, plan: &str) -> String {
        let names =
            [("KAFKA_BROKERS", &self.brokers), ("KAFKA_GROUP", &self.topic.group), ("KAFKA_TOPIC", &self.topic.name)];
        names.iter().fold(plan.to_owned(), |plan, (word, name)| plan.replace(word, name))
    }

    /// So many more come.
    pub fn produce(&self, count: usize) {
        self.topic.produce(count);
    }

    /// So many are read, and committed.
    pub fn consume(&self, count: usize) {
        self.reader.read(count);
    }
}

/// Never there in a build without Kafka.
#[cfg(not(feature = "kafka"))]
pub enum Messages {}

#[cfg(not(feature = "kafka"))]
impl Messages {
    /// Nothing.
    pub fn new() -> Option<Messages> {
        None
    }
    /// Never called, as all below.
    pub fn named(&self, _: &str) -> String {
        match *self {}
    }
    pub fn produce(&self, _: usize) {
        match *self {}
    }
    pub fn consume(&self, _: usize) {
        match *self {}
    }
}
