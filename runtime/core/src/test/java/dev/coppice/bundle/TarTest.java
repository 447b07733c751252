package dev.coppice.bundle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.coppice.api.BundleException;
import dev.coppice.api.Trust;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tars that users make, and tars that nobody should read. */
final class TarTest {

  private static final byte[] TEXT = "text".getBytes(StandardCharsets.UTF_8);

  @TempDir private Path folder;

  /** The commands that users have, the bundle's folder and its content alone. */
  @ParameterizedTest
  @ValueSource(strings = {
    "tar --create --file=OUT bundle", "tar --create --format=ustar --file=OUT bundle", "tar --create --format=pax --file=OUT bundle",
    "tar --create --format=gnu --file=OUT -C bundle .", "tar --create --format=posix --blocking-factor=1 --file=OUT ./bundle",
    "bsdtar -cf OUT bundle", "busybox tar cf OUT bundle", "python3 -m tarfile -c OUT bundle",
  })
  @Tag("build-machine")
  void shouldReadWhatUsersPack(String command) throws Exception {
    String program = command.split(" ")[0];
    assumeTrue(Files.exists(Path.of("/usr/bin", program)), program + " is not installed");
    Path tar = folder.resolve("out.tar");
    Process packing = new ProcessBuilder(command.replace("OUT", tar.toString()).split(" ")).directory(SignedBundle.FOLDER.getParent().toFile())
        .redirectErrorStream(true).start();
    assertThat(packing.waitFor()).as(new String(packing.getInputStream().readAllBytes(), StandardCharsets.UTF_8)).isZero();
    assertThat(Bundle.read(tar, SignedBundle.trust()).info()).isEqualTo(Bundle.read(SignedBundle.FOLDER, SignedBundle.trust()).info());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "./", "small/", "a name/", "größe/"})
  void shouldReadABundleAtTheTopOrInOneFolder(String top) throws IOException {
    Path tar = Files.write(folder.resolve("out.tar"), TarFile.of(top, SignedBundle.files(SignedBundle.FOLDER)));
    assertThat(Bundle.read(tar, SignedBundle.trust()).info().name()).isEqualTo("small");
  }

  @Test
  void shouldInstallFromATarWithoutUnpackingAnythingElse() throws IOException {
    Path tar = Files.write(folder.resolve("out.tar"), TarFile.of("small/", SignedBundle.files(SignedBundle.FOLDER)));
    FolderStore store = new FolderStore(folder.resolve("store"), SignedBundle.trust(), bundle -> Bundle.read(bundle, SignedBundle.trust()));
    assertThat(SignedBundle.files(store.install(tar).folder())).containsExactlyEntriesOf(SignedBundle.files(SignedBundle.FOLDER));
    assertThat(folder).isDirectoryContaining("glob:**/out.tar").isDirectoryContaining("glob:**/store").satisfies(f -> assertThat(f.toFile().list()).hasSize(2));
  }

  @ParameterizedTest
  @ValueSource(chars = {'L', 'x'})
  void shouldReadLongNames(char type) throws IOException {
    String name = "folder/" + "n".repeat(200);
    TarFile tar = new TarFile();
    tar = type == 'L' ? tar.add('L', "././@LongLink", (name + "\0").getBytes(StandardCharsets.UTF_8)) : tar.pax('x', "mtime=1.5", "path=" + name);
    assertThat(index(tar.add('0', "short", TEXT).end())).containsOnlyKeys(name);
  }

  @Test
  void shouldJoinThePartsOfAUstarName() throws IOException {
    byte[] header = TarFile.summed(TarFile.put(TarFile.header('0', "name".getBytes(StandardCharsets.UTF_8), 4), 345, "some/prefix"));
    assertThat(index(new TarFile().add(header, TEXT).end())).containsOnlyKeys("some/prefix/name");
  }

  @Test
  void shouldPassOverTheCommentThatGitWrites() throws IOException {
    assertThat(index(new TarFile().pax('g', "comment=e8c4c14").add('0', "a", TEXT).end())).containsEntry("a", new TarIndex.Entry(1536, 4));
  }

  @ParameterizedTest
  @ValueSource(chars = {'1', '2', '3', '4', '6', '7', 'K', 'S', 'D', 'M', 'V', 'A', ' ', '\377'})
  void shouldRefuseWhatIsNeitherFileNorFolder(char type) {
    assertRefused(new TarFile().add(type, "a", new byte[0]).end(), "bundle.link", "expected files and folders, found an entry of type ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"../a", "a/../b", "a/..", "..", "/a", "//a", "a//b", "a/./b", "./", "././a", "", "a/", "a\\b", "a\nb", "a\u001bb", "C:\\a", "./../a"})
  void shouldRefuseNamesThatLeadElsewhere(String name) {
    assertRefused(new TarFile().pax('x', "path=" + name).add('0', "short", TEXT).end(), "bundle.link", "expected names of files below its top");
  }

  @ParameterizedTest
  @CsvSource({"a, a", "./a, a", "a, a/b", "a/b, a"})
  void shouldRefuseAFileTwice(String first, String second) {
    assertRefused(new TarFile().add('0', first, TEXT).add('0', second, TEXT).end(), "bundle.tar", "expected ");
  }

  @ParameterizedTest
  @ValueSource(longs = {5, 1000, 0x3fffffffL, 077777777777L})
  void shouldRefuseASizeThatIsNotThere(long size) {
    assertRefused(new TarFile().add(TarFile.header('0', new byte[] {'a'}, size), TEXT).end(), "bundle.", "");
  }

  @ParameterizedTest
  @ValueSource(strings = {"GNU.sparse.major=1", "GNU.sparse.map=0,1", "size=-1", "size=99999999999", "linkpath=a", "hdrcharset=BINARY", "=a", "none", "path=a\0b"})
  void shouldRefusePaxHeadersOfOtherFiles(String record) {
    assertRefused(new TarFile().pax('x', record).add('0', "a", TEXT).end(), "bundle.", "");
  }

  @ParameterizedTest
  @ValueSource(strings = {"path=a", "size=4"})
  void shouldRefuseWhatTwoHeadersSayOfOneEntry(String record) {
    assertRefused(new TarFile().pax('x', record).pax('x', record).add('0', "a", TEXT).end(), "bundle.tar", "expected one long name or size");
    assertRefused(new TarFile().pax('x', record, record).add('0', "a", TEXT).end(), "bundle.tar", "expected a pax header of an ordinary file");
    assertRefused(new TarFile().pax('g', record).add('0', "a", TEXT).end(), "bundle.tar", "expected names and sizes with their files");
    assertRefused(new TarFile().pax('x', record).end(), "bundle.tar", "expected an entry after its long name");
  }

  @Test
  void shouldRefuseANegativeOrBinarySize() {
    byte[] header = TarFile.header('0', new byte[] {'a'}, 4);
    for (String size : List.of("-0000000004\0", "\u0080\0\0\0\0\0\0\0\0\0\0\u0004", "           4", "00000000004x")) {
      assertRefused(new TarFile().add(TarFile.summed(TarFile.put(header.clone(), 124, size)), TEXT).end(), "bundle.tar", "expected an octal size");
    }
  }

  @Test
  void shouldRefuseAFolderWithBytesMoreFilesThanABundleHasAndAnOldHeader() {
    assertRefused(new TarFile().add('5', "a/", TEXT).end(), "bundle.tar", "expected a folder without bytes");
    TarFile many = new TarFile();
    for (int i = 0; i < 1002; i++) {
      many.add('0', "f" + i, new byte[0]);
    }
    assertRefused(many.end(), "bundle.large", "expected at most 1000 files");
    TarFile folders = new TarFile();
    for (int i = 0; i < 4001; i++) {
      folders.add('5', "f/", new byte[0]);
    }
    assertRefused(folders.end(), "bundle.large", "expected at most 1000 files");
    byte[] old = TarFile.summed(TarFile.put(TarFile.header('0', new byte[] {'a'}, 4), 257, "\0\0\0\0\0\0\0\0"));
    assertRefused(new TarFile().add(old, TEXT).end(), "bundle.tar", "expected the header of a ustar entry");
  }

  @Test
  void shouldRefuseEveryTruncationAndWhateverFollowsTheEnd() {
    byte[] tar = new TarFile().pax('x', "path=b").add('0', "a", TEXT).end();
    for (int length = 0; length < tar.length; length++) {
      assertRefused(Arrays.copyOf(tar, length), "bundle.", "");
    }
    byte[] more = Arrays.copyOf(tar, tar.length + 700);
    more[tar.length + 699] = 1;
    assertRefused(more, "bundle.tar", "expected zeros");
    assertRefused(Arrays.copyOf(tar, tar.length + 100_000), "bundle.tar", "bytes after its end");
  }

  @Test
  void shouldNoticeEveryFlippedBitOfASignedTar() throws IOException {
    byte[] tar = TarFile.of("small/", SignedBundle.files(SignedBundle.FOLDER));
    Path file = folder.resolve("flipped.tar");
    for (int i : new Random(7).ints(2000, 0, tar.length * 8).toArray()) {
      tar[i / 8] ^= 1 << i % 8;
      Files.write(file, tar);
      assertThatThrownBy(() -> Bundle.read(file, SignedBundle.trust())).as("bit %d", i).isInstanceOf(BundleException.class);
      tar[i / 8] ^= 1 << i % 8;
    }
  }

  @Test
  void shouldRefuseABundleBesideOtherFiles() {
    Map<String, byte[]> files = new TreeMap<>();
    SignedBundle.files(SignedBundle.FOLDER).forEach((name, bytes) -> files.put("small/" + name, bytes));
    files.put("zeta", TEXT);
    assertRefused(TarFile.of("", files), "bundle.surplus", "expected all files in one folder");
    assertRefused(TarFile.of("a/b/", SignedBundle.files(SignedBundle.FOLDER)), "bundle.missing", "no such file");
    assertRefused(new TarFile().end(), "bundle.missing", "no such file");
  }

  private Map<String, TarIndex.Entry> index(byte[] tar) throws IOException {
    Path file = Files.write(folder.resolve("in.tar"), tar);
    try (FileChannel channel = FileChannel.open(file)) {
      return TarIndex.of(file, channel);
    }
  }

  private void assertRefused(byte[] tar, String code, String part) {
    Path file = folder.resolve("in.tar");
    assertThatThrownBy(() -> Bundle.read(Files.write(file, tar), Trust.off())).isInstanceOf(BundleException.class).hasMessageContaining(part)
        .hasMessageStartingWith(file.toString()).extracting("code").asString().startsWith(code);
  }
}
