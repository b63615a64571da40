//! Numbers that look random, from a seed.

/// SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The numbers of `seed` for the thing with this number.
    pub fn of(seed: u64, thing: u64) -> Self {
        let mut mixed = Self(seed);
        Self(mixed.next() ^ thing.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Above 0, at most 1.
    fn fraction(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// The time to the next of events that come by themselves, `mean` apart.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -self.fraction().ln() * mean
    }

    /// Log-normal, with this mean.
    pub fn log_normal(&mut self, mean: f64, sigma: f64) -> f64 {
        let radius = (-2.0 * self.fraction().ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.fraction()).cos();
        mean * (sigma * normal - sigma * sigma / 2.0).exp()
    }
}
