package dev.coppice.cli;

/** For people or for programs. */
enum OutputFormat {
  TEXT,
  JSON
}
