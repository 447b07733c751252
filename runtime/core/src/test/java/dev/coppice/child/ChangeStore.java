package dev.coppice.child;

import dev.coppice.api.CoppiceException;
import dev.coppice.api.Trust;
import dev.coppice.bundle.Bundle;
import dev.coppice.bundle.FolderStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** The program of a JVM that changes a store and may be killed in it: {@code STORE KEY install|rollback|collect BUNDLE-OR-NAME}. */
public final class ChangeStore {

  /** The exit code of a refusal: it prints the sentence, and the store's files that are open all the same. */
  public static final int REFUSED = 3;

  private ChangeStore() {}

  /** Exit code 0: changed. */
  public static void main(String[] arguments) throws Exception {
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
      List<Path> open = open(root);
      for (int tries = 0; tries < 100 && !open.isEmpty(); tries++) { // another thread may be about to close the one that it reads
        Thread.sleep(10);
        open = open(root);
      }
      open.forEach(file -> System.out.println("open: " + file));
      System.exit(REFUSED);
    }
  }

  private static List<Path> open(Path root) throws IOException {
    List<Path> found = new ArrayList<>();
    try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
      for (Path file : files.toList()) {
        try {
          Path target = Files.readSymbolicLink(file);
          if (target.startsWith(root)) {
            found.add(target);
          }
        } catch (NoSuchFileException closed) {
          // since it was listed, as the listing's own is
        }
      }
    }
    return found;
  }
}
