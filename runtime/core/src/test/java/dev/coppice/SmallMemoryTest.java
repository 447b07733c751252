package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.bundle.ShippedBundle;
import dev.coppice.child.ChildJvm;
import dev.coppice.child.SmallMemory;
import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A board of 512 MB: a heap of 64 MB, and no more than 400 MB that the process may ask for. A picture that does not fit is refused, and the next one runs. */
@Tag("child-jvm")
@Tag("build-machine")
@Tag("scaled")
final class SmallMemoryTest {

  private static final int RUNS = 300 * Integer.getInteger("coppice.stress", 1);
  private static final int MOST_KIB = 250 * 1024;

  @TempDir private Path folder;

  @Test
  void shouldWorkOnABoardOf512Megabytes() throws Exception {
    Path large = folder.resolve("large.png");
    ImageIO.write(new BufferedImage(5000, 5000, BufferedImage.TYPE_BYTE_GRAY), "png", large.toFile()); // 75 MB of pixels
    ChildJvm.End end = new ChildJvm().under(List.of("prlimit", "--data=" + (400 << 20))).withOption("-Xmx64m")
        .running(SmallMemory.class, ShippedBundle.FOLDER, ShippedBundle.golfBall(), large, RUNS).run(60L + RUNS);
    assertThat(end.code()).as(end.output()).isZero();
    List<String> lines = end.output().lines().toList();
    assertThat(lines).hasSize(2).startsWith("image.memory");
    assertThat(Long.parseLong(lines.get(1))).as("KiB").isLessThan(MOST_KIB);
  }
}
