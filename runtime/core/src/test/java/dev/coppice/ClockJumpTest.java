package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.coppice.bundle.ShippedBundle;
import dev.coppice.child.ChildJvm;
import dev.coppice.child.JumpingClock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A board sets its clock when it finds a time server, hours forward or back: deadlines do not notice. */
@Tag("child-jvm")
@Tag("build-machine")
final class ClockJumpTest {

  @TempDir private Path folder;

  @Test
  void shouldMeetEveryDeadlineWhileTheClockJumps() throws Exception {
    Optional<Path> library = libfaketime();
    assumeThat(library).as("libfaketimeMT.so.1, from the package faketime").isPresent();
    Path clock = Files.writeString(folder.resolve("clock"), "+0");
    ChildJvm.End end = new ChildJvm().withEnvironment("LD_PRELOAD", library.get()).withEnvironment("FAKETIME_TIMESTAMP_FILE", clock)
        .withEnvironment("FAKETIME_CACHE_DURATION", 1).withEnvironment("FAKETIME_DONT_FAKE_MONOTONIC", 1)
        .running(JumpingClock.class, ShippedBundle.FOLDER, clock).run(300);
    assertThat(end.code()).as(end.output()).isZero();
    assertThat(end.output().lines()).containsExactly("hours=0 met=20", "hours=1 met=20", "hours=-1 met=20", "hours=24 met=20", "hours=0 met=20", "stopped met=20");
  }

  private static Optional<Path> libfaketime() throws Exception {
    try (Stream<Path> files = Files.find(Path.of("/usr/lib"), 4, (path, attributes) -> path.endsWith("faketime/libfaketimeMT.so.1"))) {
      return files.findFirst();
    }
  }
}
