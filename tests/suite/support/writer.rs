//! A service that writes to a real topic, and shows on its page whether it could.

use super::parts::Page;
use super::wait::PATIENCE;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// See the module. Every GET of its page writes one record.
pub struct Writer {
    /// 200 while what comes in is written, or kept; 503 where it is lost.
    pub page: Page,
    keeps: Arc<AtomicBool>,
    kept: Arc<AtomicUsize>,
}

impl Writer {
    /// Writes to partition 0 of a topic; what the broker does not take is lost.
    pub fn to(brokers: &str, topic: &str) -> Writer {
        let (keeps, kept) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("message.timeout.ms", "5000");
        let producer: BaseProducer<Told> = config.create_with_context(Told::default()).expect("a producer");
        let (topic, keep, store) = (topic.to_owned(), keeps.clone(), kept.clone());
        let page = Page::showing(move |_| {
            let written = write(&producer, &topic);
            // What was kept goes out as soon as the broker takes records again.
            while written && store.load(Ordering::SeqCst) > 0 && write(&producer, &topic) {
                store.fetch_sub(1, Ordering::SeqCst);
            }
            match (written, keep.load(Ordering::SeqCst)) {
                (true, _) => (200, "written".to_owned()),
                (false, true) => {
                    let before = store.fetch_add(1, Ordering::SeqCst);
                    (200, format!("kept, with {before} others"))
                }
                (false, false) => (503, "lost".to_owned()),
            }
        });
        Writer { page, keeps, kept }
    }

    /// From now on it keeps what the broker does not take.
    pub fn keep(&self) {
        self.keeps.store(true, Ordering::SeqCst);
    }

    /// How much it keeps.
    pub fn kept(&self) -> usize {
        self.kept.load(Ordering::SeqCst)
    }
}

/// Whether the broker took a record.
fn write(producer: &BaseProducer<Told>, topic: &str) -> bool {
    let told = &producer.context().0;
    *told.lock().expect("nobody panics with it") = false;
    let record = BaseRecord::<(), str>::to(topic).partition(0).payload("an order");
    producer.send(record).map_err(|(error, _)| error).expect("the queue has room");
    producer.flush(PATIENCE).is_ok() && *told.lock().expect("nobody panics with it")
}

/// Whether the last record was delivered.
#[derive(Default)]
struct Told(Mutex<bool>);

impl ClientContext for Told {}

impl ProducerContext for Told {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        *self.0.lock().expect("nobody panics with it") = result.is_ok();
    }
}
