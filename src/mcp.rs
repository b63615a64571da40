//! Model Context Protocol: the place for a server that offers the library's calls as tools.
//!
//! Nothing is here yet, and no command claims otherwise. When it comes, it holds no logic of its own: `mesh mcp` is
//! the run and the substrate for an orchestrating agent, `mesh mcp --worker` the report channel
//! ([`crate::job::send`]) for one attempt. Its SDK needs async, which stays within this module.
