//! How long the `csv` crate takes to read a file and do nothing with it: the yardstick of `benches/collect` for large waves. Prints
//! seconds, the median of three passes.
//!
//! Usage: `cargo bench --bench csv-loop -- FILE`

use std::time::Instant;

fn main() {
    // `cargo bench` adds options of its own.
    let file = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let Some(file) = file else { return };
    let mut passes: Vec<f64> = (0..3).map(|_| pass(&file)).collect();
    passes.sort_by(f64::total_cmp);
    println!("{:.3}", passes[1]);
}

fn pass(file: &str) -> f64 {
    let began = Instant::now();
    let mut reader = csv::Reader::from_path(file).expect("a CSV");
    let mut record = csv::ByteRecord::new();
    let mut rows = 0_u64;
    while reader.read_byte_record(&mut record).expect("a record") {
        rows += 1;
    }
    assert!(rows > 0, "{file} has rows");
    began.elapsed().as_secs_f64()
}
