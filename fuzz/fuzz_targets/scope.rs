#![no_main]
libfuzzer_sys::fuzz_target!(|globs: mesh_fuzz::scope::Globs| mesh_fuzz::scope::check(&globs));
