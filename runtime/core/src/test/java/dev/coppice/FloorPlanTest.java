package dev.coppice;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The walls between the rooms of the library. */
final class FloorPlanTest {

  private static JavaClasses house;

  @BeforeAll
  static void readClasses() throws URISyntaxException {
    house = new ClassFileImporter().importPath(Path.of(Coppice.class.getProtectionDomain().getCodeSource().getLocation().toURI()));
  }

  @ParameterizedTest(name = "{0} uses only: {1}")
  @CsvSource({
    "api, org.jspecify",
    "tensor,",
    "image, api javax.imageio",
    "bundle, ops tensor api com.fasterxml.jackson.core org.slf4j",
    "follow, api org.slf4j",
    "device, api",
    "latency, device api com.fasterxml.jackson.core com.sun.management org.jspecify",
    "schedule, engine tensor api",
    "ops, api org.slf4j",
    "engine, tensor api",
    "ort, engine ops bundle device tensor api ai.onnxruntime org.slf4j",
    "pipeline, image bundle device follow ops engine ort schedule tensor api org.slf4j jdk.jfr",
  })
  void shouldUseOnlyTheRoomsThatTheFloorPlanNames(String room, String others) {
    classes().that().resideInAPackage("dev.coppice." + room)
        .should().onlyDependOnClassesThat().resideInAnyPackage(allowed(room, others))
        .because("arrows point one way, so that a room can be read, tested and replaced alone").check(house);
  }

  @Test
  void shouldCatchAnArrowThatTheFloorPlanLacks() {
    assertThatThrownBy(() -> shouldUseOnlyTheRoomsThatTheFloorPlanNames("pipeline", "api")).isInstanceOf(AssertionError.class);
  }

  @Test
  void shouldKnowEveryRoom() {
    assertThat(house.stream().map(c -> c.getPackageName()).filter(p -> !p.isEmpty()).collect(Collectors.toSet()))
        .as("a new package needs a line in this test").containsExactlyInAnyOrder("dev.coppice", "dev.coppice.api", "dev.coppice.tensor",
            "dev.coppice.image", "dev.coppice.bundle", "dev.coppice.device", "dev.coppice.ops", "dev.coppice.engine", "dev.coppice.follow", "dev.coppice.ort",
            "dev.coppice.pipeline", "dev.coppice.schedule", "dev.coppice.latency");
  }

  @Test
  void shouldImportOnnxRuntimeInOneRoom() {
    noClasses().that().resideOutsideOfPackage("dev.coppice.ort").should().dependOnClassesThat().resideInAPackage("ai.onnxruntime..")
        .because("another engine must fit behind the interface Engine").check(house);
  }

  @Test
  void shouldDeclareNativeMethodsInOneRoom() {
    methods().that().haveModifier(JavaModifier.NATIVE).should().beDeclaredInClassesThat().resideInAPackage("dev.coppice.ops")
        .because("a crash of the JVM must have one place to look at").check(house);
  }

  @Test
  void shouldTouchPicturesInOneRoom() {
    noClasses().that().resideOutsideOfPackage("dev.coppice.image").should().dependOnClassesThat().resideInAnyPackage("java.awt..", "javax.imageio..")
        .because("java.desktop costs memory and may be missing on a board").check(house);
  }

  @Test
  void shouldNeverDeserialiseObjects() {
    noClasses().should().dependOnClassesThat().haveFullyQualifiedName("java.io.ObjectInputStream")
        .because("bundles come from strangers, and a stream of objects runs their code").check(house);
  }

  @Test
  void shouldNotPrint() {
    noClasses().should().accessField(System.class, "out").orShould().accessField(System.class, "err")
        .because("the output belongs to the program that embeds the library").check(house);
  }

  @Test
  void shouldNotLookAtTheClockOnTheWall() {
    noClasses().should().callMethod(System.class, "currentTimeMillis")
        .orShould().dependOnClassesThat().haveFullyQualifiedName("java.time.Instant").orShould().dependOnClassesThat().haveFullyQualifiedName("java.time.Clock")
        .orShould().dependOnClassesThat().haveFullyQualifiedName("java.util.Date")
        .because("it jumps when a board finds its time server, and deadlines must not").check(house);
  }

  private static String[] allowed(String room, String others) {
    List<String> packages = new ArrayList<>(List.of("java..", "dev.coppice." + room));
    Stream.ofNullable(others).flatMap(o -> Stream.of(o.split(" "))).map(o -> o.contains(".") ? o + ".." : "dev.coppice." + o).forEach(packages::add);
    return packages.toArray(String[]::new);
  }
}
