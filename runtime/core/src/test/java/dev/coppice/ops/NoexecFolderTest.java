package dev.coppice.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.coppice.child.ChildJvm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A hardened board: the home and /tmp lie on file systems from which nothing may be executed. */
@Tag("build-machine")
final class NoexecFolderTest {

  @TempDir private Path folder;
  private Path noexec;

  @BeforeEach
  void mount() throws IOException, InterruptedException {
    noexec = Files.createDirectory(folder.resolve("noexec"));
    assumeThat(status("mount", "-t", "tmpfs", "-o", "noexec,mode=700,size=64m", "tmpfs", noexec.toString()))
        .as("mounting a file system with noexec needs root and the right to mount").isZero();
  }

  @AfterEach
  void unmount() throws IOException, InterruptedException {
    status("umount", noexec.toString());
  }

  @Test
  void shouldNameThePropertyWhenTheCacheMayNotExecute() throws Exception {
    ChildJvm.End end = new ChildJvm().with("coppice.native.dir", noexec.resolve("cache")).run();
    assertThat(end.code()).isOne();
    assertThat(end.output()).startsWith("native.load: " + noexec.resolve("cache/libcoppice_ops-")).doesNotContain("\n")
        .endsWith(" lies in a folder without execute permission (noexec); name another with -Dcoppice.native.dir=/folder, or a file with -Dcoppice.native.path.");
  }

  @Test
  void shouldWorkWhenThePropertyNamesAnotherFolder() throws Exception {
    ChildJvm.End end = new ChildJvm().with("user.home", noexec).with("coppice.native.dir", folder.resolve("cache")).run();
    assertThat(end.output()).contains("library=" + folder.resolve("cache/libcoppice_ops-"));
    assertThat(end.code()).isZero();
  }

  @Test
  void shouldWorkWhenTemporaryFilesMayNotExecute() throws Exception {
    assertThat(new ChildJvm().with("java.io.tmpdir", noexec).with("coppice.native.dir", folder.resolve("cache")).run().code()).isZero();
  }

  @Test
  void shouldNameThePropertyWhenOnnxRuntimeUnpacksWhereFilesMayNotExecute() throws Exception {
    ChildJvm.End end = new ChildJvm().with("java.io.tmpdir", noexec).with("coppice.native.path", OperatorLibrary.load().file()).run();
    assertThat(end.code()).isOne();
    assertThat(end.output()).startsWith("native.engine: ONNX Runtime cannot be loaded (").contains("java.io.tmpdir = " + noexec).doesNotContain("\n");
  }

  private static int status(String... command) throws IOException, InterruptedException {
    try {
      return new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD).start().waitFor();
    } catch (IOException noSuchCommand) {
      return 127;
    }
  }
}
