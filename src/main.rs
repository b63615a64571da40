//! The `mesh` program; everything is in the library.

fn main() -> std::process::ExitCode {
    mesh::cli::main()
}
