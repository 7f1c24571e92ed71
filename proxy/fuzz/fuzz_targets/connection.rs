//! Whole connections: several clients and servers around one worker's real connections, tables and
//! pools, doing what the input says in any order. See `sundew_fuzz::stage` for how an input is read
//! and `sundew_fuzz::judge` for what must be true afterwards.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use sundew_fuzz::memory::Counting;
use sundew_fuzz::stage::Stage;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static STAGE: RefCell<&'static mut Stage> = RefCell::new(Box::leak(Box::default()));
}

fuzz_target!(|script: &[u8]| {
    STAGE.with_borrow_mut(|stage| stage.run(script));
});
