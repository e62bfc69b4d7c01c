//! Durable appends of 300-byte lines to a transcript, beside the database one would take instead: SQLite with a write-ahead
//! log and full synchronisation, on the same disk, in turn.

mod support;

use crosscheck::clock::At;
use crosscheck::event::Event;
use crosscheck::name::Principal;
use crosscheck::transcript::file::Transcript;
use crosscheck::transcript::record::{Encoded, FORMAT, Head, Line};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;
use support::Goal;

const BYTES: usize = 300;
/// Short and many: on a busy disk, only neighbours in time can be compared.
const RUNS: usize = 25;

fn main() {
    let folder = support::folder();
    support::headline("append", "durable 300 B lines, transcript / SQLite (WAL, synchronous = FULL), records a second");
    let sync = sync_p50(folder.path());
    println!("append: one 300 B write and fdatasync in a filled file, p50 {sync:.3} ms");
    let mut transcript = Chain::new(folder.path());
    let mut database = Database::new(folder.path());
    for (batch, batches, linked, least) in [(1, 400, true, 0.95), (64, 150, false, 1.3), (64, 150, true, 1.3)] {
        let mut rates: [Vec<f64>; 2] = Default::default();
        let mut floor = vec![];
        for _ in 0..RUNS {
            rates[0].push(transcript.append(batch, batches, linked));
            rates[1].push(database.append(batch, batches));
            floor.push(sync_p50(folder.path()));
        }
        let how = if linked { ", hashed meanwhile" } else { "" };
        let (ours, theirs) = (support::median(&rates[0]), support::median(&rates[1]));
        println!(
            "append: batches of {batch}{how}: transcript {ours:.0}/s, SQLite {theirs:.0}/s; fdatasync p50 meanwhile {:.3} ms",
            support::median(&floor)
        );
        let name = format!("append, batches of {batch}{how}, transcript / SQLite");
        support::report(&name, &support::ratios(&rates[0], &rates[1]), Goal::AtLeast(least));
    }
}

/// Milliseconds of one write and sync, as good as a disk allows.
fn sync_p50(folder: &Path) -> f64 {
    let path = folder.join("floor");
    let file = File::create(&path).expect("a file");
    file.write_all_at(&vec![b'\n'; 256 * 1024], 0).expect("room");
    file.sync_all().expect("a disk");
    let times: Vec<f64> = (0..100)
        .map(|n| {
            let begin = Instant::now();
            file.write_all_at(&[b'x'; BYTES], n * BYTES as u64).expect("room");
            file.sync_data().expect("a disk");
            begin.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    support::median(&times)
}

struct Chain {
    transcript: Transcript,
    head: Head,
    text: String,
}
impl Chain {
    fn new(folder: &Path) -> Chain {
        let mut chain = Chain {
            transcript: Transcript::create(folder, "bench").expect("a transcript"),
            head: Head::START,
            text: String::new(),
        };
        let spare = BYTES - chain.line().bytes().len(); // the first line tells how long the rest of one is
        chain.text = "x".repeat(spare - 6); // the number grows by up to six digits
        chain
    }
    fn line(&self) -> Encoded {
        let event = Event::Noted { text: self.text.clone() };
        let (seq, prev) = (self.head.seq + 1, self.head.hash);
        Line { v: FORMAT, seq, prev, at: At::from_micros(1), by: Principal::hub(), event }.encode().expect("a line")
    }
    /// Records a second. Lines are made before the clock starts, as rows are: what is measured is the way to the disk,
    /// the check of number and link included. With `linked`, every line is hashed within the time, as a hub does once a line.
    fn append(&mut self, batch: usize, batches: usize, linked: bool) -> f64 {
        let mut made = Vec::with_capacity(batches);
        for _ in 0..batches {
            let lines: Vec<Encoded> = (0..batch)
                .map(|_| {
                    let line = self.line();
                    self.head = line.head();
                    line
                })
                .collect();
            made.push(lines);
        }
        let begin = Instant::now();
        for lines in &mut made {
            if linked {
                for line in lines.iter_mut() {
                    *line = Encoded::new(line.head().seq, line.bytes().clone());
                }
            }
            self.transcript.append(lines, &[]).expect("a disk");
        }
        (batch * batches) as f64 / begin.elapsed().as_secs_f64()
    }
}

struct Database {
    connection: rusqlite::Connection,
    next: i64,
}
impl Database {
    fn new(folder: &Path) -> Database {
        let connection = rusqlite::Connection::open(folder.join("bench.sqlite")).expect("a database");
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).expect("a mode");
        assert_eq!(mode, "wal");
        connection.pragma_update(None, "synchronous", "FULL").expect("a setting");
        connection.execute("create table lines (seq integer primary key, line blob not null)", ()).expect("a table");
        Database { connection, next: 1 }
    }
    fn append(&mut self, batch: usize, batches: usize) -> f64 {
        let line = [b'x'; BYTES];
        let begin = Instant::now();
        for _ in 0..batches {
            let transaction = self.connection.transaction().expect("a transaction");
            {
                let mut insert = transaction.prepare_cached("insert into lines values (?, ?)").expect("a statement");
                for _ in 0..batch {
                    insert.execute((self.next, &line[..])).expect("a disk");
                    self.next += 1;
                }
            }
            transaction.commit().expect("a disk");
        }
        (batch * batches) as f64 / begin.elapsed().as_secs_f64()
    }
}
