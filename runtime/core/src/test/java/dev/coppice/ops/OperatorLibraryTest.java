package dev.coppice.ops;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.child.ChildJvm;
import java.lang.reflect.InvocationTargetException;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

final class OperatorLibraryTest {

  @Test
  void shouldLoadOnceAndGiveTheSameAgain() {
    assertThat(OperatorLibrary.load()).isSameAs(OperatorLibrary.load());
  }

  @Test
  void shouldUseAnInstructionSetThatItListsStartingWithScalar() {
    OperatorLibrary library = OperatorLibrary.load();
    assertThat(library.isas()).startsWith("scalar").contains(library.isa());
  }

  @Test
  void shouldTellTheVersionOfTheCLibrary() {
    assertThat(OperatorLibrary.load().glibc()).matches("2\\.\\d+");
  }

  @Test
  void shouldSayWhatToDoWhenAnotherClassLoaderHasTheLibrary() throws Exception {
    OperatorLibrary.load();
    URL[] path = ChildJvm.classPath().stream().map(OperatorLibraryTest::url).toArray(URL[]::new);
    try (URLClassLoader second = new URLClassLoader(path, ClassLoader.getPlatformClassLoader())) {
      assertThat(refusal(second)).endsWith(
          " is already loaded by another class loader of this JVM; load Coppice in one class loader that both applications share.");
    }
  }

  private static String refusal(ClassLoader loader) throws ReflectiveOperationException {
    try {
      return "loaded " + loader.loadClass(OperatorLibrary.class.getName()).getMethod("load").invoke(null);
    } catch (InvocationTargetException e) {
      return e.getCause().getMessage();
    }
  }

  private static URL url(Path entry) {
    try {
      return entry.toUri().toURL();
    } catch (MalformedURLException e) {
      throw new IllegalStateException(e);
    }
  }
}
