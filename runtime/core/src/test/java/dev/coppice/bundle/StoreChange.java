package dev.coppice.bundle;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** A change of a store that tests cut short: what was there before, and which version may be current whatever happens. */
enum StoreChange {
  FIRST("install", List.of(), List.of("none", "1.3.0")),
  UPGRADE("install", List.of("1.0.0"), List.of("1.0.0", "1.3.0")),
  ROLLBACK("rollback", List.of("1.0.0", "1.1.0"), List.of("1.1.0", "1.0.0")),
  COLLECT("collect", List.of("1.0.0", "1.1.0", "1.2.0"), List.of("1.2.0"));

  private final String action;
  private final List<String> installed;
  private final List<String> allowed;

  StoreChange(String action, List<String> installed, List<String> allowed) {
    this.action = action;
    this.installed = installed;
    this.allowed = allowed;
  }

  /** In this order: the last one is current, the one before it previous. */
  List<String> installed() {
    return installed;
  }

  /** The one before the change and the one after it, which are the same where the change is of others. */
  List<String> allowed() {
    return allowed;
  }

  /** The one that is current if nothing goes wrong. */
  String wanted() {
    return allowed.get(allowed.size() - 1);
  }

  /** The versions that are there whatever happens: the current and the previous one. */
  List<String> kept() {
    return installed.subList(Math.max(0, installed.size() - 2), installed.size());
  }

  /** The word for it, and what it takes: a bundle or a name. */
  List<Object> arguments(SignedVersions versions) throws IOException {
    return List.of(action, action.equals("install") ? versions.source("1.3.0") : versions.name());
  }

  void make(FolderStore store, SignedVersions versions) throws IOException {
    switch (action) {
      case "install" -> store.install((Path) arguments(versions).get(1));
      case "rollback" -> store.rollback(versions.name());
      default -> store.collect(versions.name());
    }
  }
}
