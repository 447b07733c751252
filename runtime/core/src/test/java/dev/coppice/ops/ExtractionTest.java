package dev.coppice.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.coppice.api.NativeException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Unpacking the library that lies on the class path, into folders that a test may spoil. */
final class ExtractionTest {

  private static final Platform HERE = Platform.of(System.getProperty("os.name"), System.getProperty("os.arch"), false);

  @TempDir private Path folder;
  private Path cache;

  @BeforeEach
  void nameCache() {
    cache = folder.resolve("made/on/the/way/cache");
  }

  @Test
  void shouldUnpackTheLibraryThatThePlatformNeeds() throws IOException {
    assertThat(Extraction.fromJar(HERE, cache)).hasParent(cache).hasBinaryContent(packed());
  }

  @Test
  void shouldMakeAFolderThatOnlyItsOwnerCanEnter() throws IOException {
    Extraction.fromJar(HERE, cache);
    assertThat(mode(cache)).isEqualTo("rwx------");
  }

  @Test
  void shouldLeaveNothingButTheLibraryBehind() throws IOException {
    Path library = Extraction.fromJar(HERE, cache);
    try (Stream<Path> files = Files.list(cache)) {
      assertThat(files).containsExactly(library);
    }
  }

  @Test
  void shouldUseTheFileThatIsThereWhenItIsRight() throws IOException {
    Object first = inode(Extraction.fromJar(HERE, cache));
    assertThat(inode(Extraction.fromJar(HERE, cache))).isEqualTo(first);
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 1})
  void shouldReplaceAFileOfAnotherLength(int more) throws IOException {
    Files.write(Extraction.fromJar(HERE, cache), Arrays.copyOf(packed(), packed().length + more));
    assertThat(Extraction.fromJar(HERE, cache)).hasBinaryContent(packed());
  }

  @Test
  void shouldReplaceOneFlippedBit() throws IOException {
    Path library = Extraction.fromJar(HERE, cache);
    byte[] bytes = packed();
    bytes[bytes.length / 2] ^= 1;
    Files.write(library, bytes);
    assertThat(Extraction.fromJar(HERE, cache)).hasBinaryContent(packed());
  }

  @Test
  void shouldReplaceALinkAndLeaveItsTargetAlone() throws IOException {
    Path library = Extraction.fromJar(HERE, cache);
    Path elsewhere = Files.move(library, folder.resolve("elsewhere.so"));
    Files.createSymbolicLink(library, elsewhere);
    assertThat(Files.isSymbolicLink(Extraction.fromJar(HERE, cache))).isFalse();
    assertThat(elsewhere).hasBinaryContent(packed());
  }

  @ParameterizedTest
  @ValueSource(strings = {"rwxrwxrwx", "rwxr-xr-x", "rwx-----x", "rwxrwx---"})
  void shouldRefuseAFolderThatOthersCanEnter(String mode) throws IOException {
    Files.createDirectories(cache);
    Files.setPosixFilePermissions(cache, PosixFilePermissions.fromString(mode));
    String owner = Files.getOwner(cache).getName();
    assertRefused(cache, "native.unsafe", cache + ": expected a folder of " + owner + " with mode rwx------, found mode " + mode + " of " + owner
        + "; correct it with chmod 700, or name another with -Dcoppice.native.dir=/folder.");
  }

  @Test
  void shouldRefuseALinkToAFolder() throws IOException {
    Path other = Files.createDirectory(folder.resolve("other"), PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    Path link = Files.createSymbolicLink(folder.resolve("link"), other);
    assertRefused(link, "native.unsafe", "found a link; ");
  }

  @Test
  void shouldRefuseAFolderOfAnotherUser() throws IOException {
    Files.createDirectories(cache);
    Files.setPosixFilePermissions(cache, PosixFilePermissions.fromString("rwx------"));
    try {
      Files.setOwner(cache, cache.getFileSystem().getUserPrincipalLookupService().lookupPrincipalByName("nobody"));
    } catch (IOException missing) {
      assumeThat(missing).as("giving a folder to user nobody needs root and such a user").isNull();
    }
    assertRefused(cache, "native.unsafe", "found mode rwx------ of nobody; ");
  }

  @Test
  void shouldRefuseAFileInPlaceOfTheFolder() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "");
    assertRefused(file, "native.unpack", "; name another folder with -Dcoppice.native.dir=/folder.");
  }

  @Test
  void shouldRefuseAFolderThatCannotBeMade() throws IOException {
    Path below = Files.writeString(folder.resolve("file"), "").resolve("cache");
    assertRefused(below, "native.unpack", "; name another folder with -Dcoppice.native.dir=/folder.");
  }

  @Test
  void shouldRefuseAFolderThatStandsWhereTheLibraryBelongs() throws IOException {
    Path library = Extraction.fromJar(HERE, cache);
    Files.delete(library);
    Files.createDirectories(library.resolve("full"));
    assertRefused(cache, "native.unpack", "; name another folder with -Dcoppice.native.dir=/folder.");
    try (Stream<Path> files = Files.list(cache)) {
      assertThat(files).containsExactly(library);
    }
  }

  private static void assertRefused(Path folder, String code, String part) {
    assertThatThrownBy(() -> Extraction.fromJar(HERE, folder)).isInstanceOf(NativeException.class).hasMessageStartingWith(folder + ": ")
        .hasMessageContaining(part).extracting("code").isEqualTo(code);
  }

  private static byte[] packed() throws IOException {
    try (InputStream in = ExtractionTest.class.getResourceAsStream("/META-INF/coppice/native/" + HERE.folder() + "/libcoppice_ops.so")) {
      return in.readAllBytes();
    }
  }

  private static String mode(Path path) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
  }

  private static Object inode(Path path) throws IOException {
    return Files.getAttribute(path, "unix:ino", LinkOption.NOFOLLOW_LINKS);
  }
}
