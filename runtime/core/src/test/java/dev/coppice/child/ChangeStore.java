package dev.coppice.child;

import dev.coppice.api.CoppiceException;
import dev.coppice.api.Trust;
import dev.coppice.bundle.Bundle;
import dev.coppice.bundle.FolderStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** The program of a JVM that changes a store and may be killed in it: {@code STORE KEY install|rollback|collect BUNDLE-OR-NAME}. */
public final class ChangeStore {

  /** The exit code of a refusal: it prints the sentence, and the store's files that are open all the same. */
  public static final int REFUSED = 3;

  private ChangeStore() {}

  /** Exit code 0: changed. */
  public static void main(String[] arguments) throws IOException {
    Path root = Path.of(arguments[0]);
    Trust trust = Trust.pinned(Trust.Policy.REQUIRE, Path.of(arguments[1]));
    FolderStore store = new FolderStore(root, trust, bundle -> Bundle.read(bundle, trust));
    try {
      switch (arguments[2]) {
        case "install" -> store.install(Path.of(arguments[3]));
        case "rollback" -> store.rollback(arguments[3]);
        default -> store.collect(arguments[3]);
      }
    } catch (CoppiceException refused) {
      System.out.println(refused.code() + ": " + refused.getMessage());
      try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
        for (Path file : open.filter(Files::isSymbolicLink).toList()) {
          Path target = Files.readSymbolicLink(file);
          if (target.startsWith(root)) {
            System.out.println("open: " + target);
          }
        }
      }
      System.exit(REFUSED);
    }
  }
}
