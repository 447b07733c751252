package dev.coppice;

import java.io.IOException;
import java.lang.module.ModuleDescriptor;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** The public types of the packages that the module exports, by name. */
final class ExportedTypes {

  private ExportedTypes() {}

  static List<Class<?>> all() throws Exception {
    Path classes = Path.of(Coppice.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    List<Class<?>> types = new ArrayList<>();
    for (ModuleDescriptor.Exports exported : ModuleDescriptor.read(Files.newInputStream(classes.resolve("module-info.class"))).exports()) {
      types.addAll(in(exported.source(), classes.resolve(exported.source().replace('.', '/'))));
    }
    types.removeIf(type -> !Modifier.isPublic(type.getModifiers()));
    types.sort(Comparator.comparing(Class::getName));
    return types;
  }

  private static List<Class<?>> in(String room, Path folder) throws IOException, ClassNotFoundException {
    List<Class<?>> types = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.filter(file -> file.toString().endsWith(".class")).toList()) {
        types.add(Class.forName(room + "." + file.getFileName().toString().replace(".class", "")));
      }
    }
    return types;
  }
}
