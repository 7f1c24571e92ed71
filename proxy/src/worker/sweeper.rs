//! Ten times a second: the clock, deadlines, clients that left, idle connections to servers, the
//! access log, memory that is not needed.

use std::rc::Rc;
use std::time::Duration;

use crate::cluster::{Moment, Tables};
use crate::conn::local::Local;
use crate::conn::pressure::Pressure;
use crate::io::clock::TICK_MS;
use crate::io::sleep;
use crate::upstream::{sweep_idle, trim_idle};

/// Ticks between two trims of the buffer pool.
const TRIM_TICKS: u32 = 10;

/// A connection that has been idle for less may be about to be used: it is not closed to make room.
const SHED_AFTER_MS: u64 = 1_000;

/// Without memory one in so many connections may be ended by a sweep, if it is idle.
const SHED_SHARE: usize = 32;

/// Runs for as long as the worker.
pub(super) async fn sweep(local: Rc<Local>) {
    let mut scratch = Vec::new();
    let mut ticks = 0_u32;
    loop {
        sleep(Duration::from_millis(TICK_MS)).await;
        local.clock.tick();
        let now_ms = local.clock.now_ms();
        local.watches.sweep(now_ms);
        let tables = Rc::clone(&local.tables.borrow());
        tables.tick(Moment { now_ms, wall_s: local.clock.wall_s() });
        sweep_idle(&tables, now_ms, &mut scratch);
        let pressure = local.pressure.get();
        if pressure != Pressure::None {
            local.shrink();
        }
        if pressure == Pressure::Full {
            let count = local.watches.len() / SHED_SHARE + 1;
            shed(&local, &tables, count);
        }
        if local.descriptors.take_shortage() {
            shed(&local, &tables, local.descriptors.shed_max());
        }
        if let Some(log) = local.access_log.borrow_mut().as_mut() {
            log.flush();
        }
        ticks = ticks.wrapping_add(1);
        if ticks.is_multiple_of(TRIM_TICKS) {
            local.buffers.trim();
        }
    }
}

/// Makes room: idle connections to servers, and `count` idle ones of clients, longest first.
fn shed(local: &Local, tables: &Tables, count: usize) {
    trim_idle(tables);
    // Nobody has been idle for that long before the clock has run for as long.
    if let Some(before_ms) = local.clock.now_ms().checked_sub(SHED_AFTER_MS) {
        local.watches.end_idle(count, before_ms);
    }
}
