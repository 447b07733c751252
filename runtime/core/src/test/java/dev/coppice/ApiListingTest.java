package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Executable;
import java.lang.reflect.Field;
import java.lang.reflect.Member;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What the library promises, line by line: api.txt changes only on purpose. */
@Tag("build-machine") // reflection words the same class differently on other versions of Java
final class ApiListingTest {

  private static final Path BASELINE = Path.of(System.getProperty("basedir", "."), "api.txt");
  private static List<Class<?>> promised;

  @BeforeAll
  static void readModule() throws Exception {
    promised = ExportedTypes.all();
  }

  private static List<String> listing() {
    List<String> lines = new ArrayList<>();
    for (Class<?> type : promised) {
      lines.add(type.toGenericString().replace("sealed ", "") + parents(type)); // Java 17 does not print it
      Stream.of(type.getDeclaredConstructors(), type.getDeclaredMethods(), type.getDeclaredFields()).flatMap(Arrays::stream)
          .filter(member -> !member.isSynthetic() && (member.getModifiers() & (Modifier.PUBLIC | Modifier.PROTECTED)) != 0)
          .map(ApiListingTest::line).sorted().forEach(lines::add);
    }
    return lines;
  }

  private static String parents(Class<?> type) {
    return " : " + type.getGenericSuperclass() + " " + Arrays.toString(type.getGenericInterfaces());
  }

  private static String line(Member member) {
    return "  " + (member instanceof Executable executable ? executable.toGenericString() : ((Field) member).toGenericString());
  }

  @Test
  void shouldPromiseWhatTheBaselineSays() throws IOException {
    Path found = Files.write(Path.of(System.getProperty("basedir", "."), "target", "api.txt"), listing());
    assertThat(listing()).as("the public API has changed; if that is meant, copy %s to %s and tell users in docs/CHANGELOG.md", found, BASELINE)
        .containsExactlyElementsOf(Files.readAllLines(BASELINE));
  }

  @Test
  void shouldExplainEveryType() throws IOException {
    for (Class<?> type : promised) {
      if (type.getEnclosingClass() == null) {
        Path source = Path.of(System.getProperty("basedir", "."), "src/main/java", type.getName().replace('.', '/') + ".java");
        assertThat(Files.readString(source)).as("Javadoc of %s", type).containsPattern("\\*/\\Rpublic (abstract |sealed |final )*(interface|record|class|enum) ");
      }
    }
  }

  @Test
  void shouldSayWhereNullMayBe() {
    assertThat(promised).extracting(Class::getPackage).allMatch(room -> room.isAnnotationPresent(NullMarked.class));
  }
}
