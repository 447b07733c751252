package dev.coppice.api;

/** What an installation may do beyond the usual. */
public enum InstallOption {
  /** Put an older version in place of a newer one. */
  ALLOW_OLDER
}
