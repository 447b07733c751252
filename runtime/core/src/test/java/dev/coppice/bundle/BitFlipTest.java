package dev.coppice.bundle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import dev.coppice.api.BundleException;
import dev.coppice.api.Trust;
import java.nio.file.Path;
import java.security.KeyPair;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Signed bundles with one thing changed: none is ever read. */
@Tag("build-machine") // arithmetic of the JDK, thousands of times
final class BitFlipTest {

  private static final long SEED = 20261121;
  private static final Trust TRUST = SignedBundle.trust();

  @TempDir private Path folder;

  @Test
  void shouldReadTheBundleWithoutAChange() {
    Map<String, byte[]> files = SignedBundle.files(SignedBundle.FOLDER);
    assertThat(Bundle.read(new BundleFiles(SignedBundle.source(files), TRUST)).info().name()).isEqualTo("small");
  }

  @Test
  void shouldNoticeTenThousandFlippedBits() {
    Map<String, byte[]> files = SignedBundle.files(SignedBundle.FOLDER);
    List<String> names = new ArrayList<>(files.keySet());
    SplittableRandom random = new SplittableRandom(SEED);
    for (int i = 0; i < 10_000; i++) {
      String name = names.get(random.nextInt(names.size()));
      flip(files, name, random.nextInt(files.get(name).length * 8));
    }
  }

  @Test
  @Tag("stress")
  void shouldNoticeEveryFlippedBit() {
    Map<String, byte[]> files = SignedBundle.files(SignedBundle.FOLDER);
    long bits = 0;
    for (String name : files.keySet()) {
      for (int bit = 0; bit < files.get(name).length * 8; bit++) {
        flip(files, name, bit);
        bits++;
      }
    }
    System.out.printf("%d flipped bits noticed%n", bits);
  }

  @Test
  @Tag("stress")
  void shouldNoticeChangesOfALargeBundle() throws Exception {
    KeyPair key = SignedBundle.key("secp256r1");
    Path copy = ShippedBundle.copyInto(folder);
    SignedBundle.sign(copy, key);
    Map<String, byte[]> files = SignedBundle.files(copy);
    List<String> names = new ArrayList<>(files.keySet());
    SplittableRandom random = new SplittableRandom(SEED);
    for (int i = 0; i < 20_000; i++) {
      String name = names.get(random.nextInt(names.size()));
      byte[] before = files.get(name);
      byte[] changed = changed(before, random);
      if (!Arrays.equals(before, changed)) {
        files.put(name, changed);
        requireRefused(files, SignedBundle.trust(key), name + ", change " + i + " of seed " + SEED);
        files.put(name, before);
      }
    }
  }

  private static byte[] changed(byte[] before, SplittableRandom random) {
    int place = random.nextInt(before.length);
    int other = random.nextInt(before.length);
    byte[] changed = before.clone();
    switch (random.nextInt(4)) {
      case 0 -> changed[place] ^= 1 << random.nextInt(8);
      case 1 -> changed = Arrays.copyOf(before, place);
      case 2 -> {
        changed = Arrays.copyOf(before, before.length + 1);
        System.arraycopy(before, place, changed, place + 1, before.length - place);
      }
      default -> {
        changed[place] = before[other];
        changed[other] = before[place];
      }
    }
    return changed;
  }

  private static void flip(Map<String, byte[]> files, String name, int bit) {
    byte[] bytes = files.get(name);
    bytes[bit / 8] ^= 1 << bit % 8;
    requireRefused(files, TRUST, name + ", bit " + bit);
    bytes[bit / 8] ^= 1 << bit % 8;
  }

  private static void requireRefused(Map<String, byte[]> files, Trust trust, String what) {
    try {
      Bundle.read(new BundleFiles(SignedBundle.source(files), trust));
    } catch (BundleException noticed) {
      return;
    }
    fail("not noticed: " + what);
  }
}
