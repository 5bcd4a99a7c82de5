# libgan2shape, shared and static, made of the same objects, and what is installed beside it.

include(GNUInstallDirs)

# Their objects, by target; and what a program needs besides.
function(g2s_library_parts out_targets out_objects)
  set(targets g2s_engine g2s_kernels g2s_models g2s_weights_converter g2s_c_api ${G2S_CUDA_BACKEND})
  foreach(variant base v3 v4 ${G2S_BF16_VARIANTS})
    if(TARGET g2s_kernels_${variant})
      list(APPEND targets g2s_kernels_${variant})
    endif()
  endforeach()
  set(objects)
  foreach(target ${targets})
    list(APPEND objects $<TARGET_OBJECTS:${target}>)
  endforeach()
  set(${out_targets} ${targets} PARENT_SCOPE)
  set(${out_objects} ${objects} PARENT_SCOPE)
endfunction()

# The headers that open their namespace as engine/export.h says, relative to the source folder.
function(g2s_public_headers out)
  file(GLOB_RECURSE files RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/engine/*.h ${PROJECT_SOURCE_DIR}/kernels/*.h
       ${PROJECT_SOURCE_DIR}/models/*.h ${PROJECT_SOURCE_DIR}/weights_converter/*.h)
  set(public)
  foreach(file ${files})
    file(STRINGS ${PROJECT_SOURCE_DIR}/${file} exported REGEX "G2S_EXPORTED" LIMIT_COUNT 1)
    if(exported)
      list(APPEND public ${file})
    endif()
  endforeach()
  set(${out} ${public} PARENT_SCOPE)
endfunction()

# The build folder is laid out as a prefix is, so that everything is found in the same places.
function(g2s_lay_out_build_folder)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/include/gan2shape ${PROJECT_BINARY_DIR}/share/gan2shape)
  foreach(folder engine kernels models weights_converter)
    file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${PROJECT_BINARY_DIR}/include/gan2shape/${folder} SYMBOLIC)
  endforeach()
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/include/gan2shape/gan2shape.h ${PROJECT_BINARY_DIR}/include/gan2shape/gan2shape.h SYMBOLIC)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/assets ${PROJECT_BINARY_DIR}/share/gan2shape/assets SYMBOLIC)
endfunction()

function(g2s_add_shared_library)
  g2s_lay_out_build_folder()
  g2s_library_parts(targets objects)
  add_library(libgan2shape SHARED ${objects})
  add_library(gan2shape::gan2shape ALIAS libgan2shape)
  set_target_properties(libgan2shape PROPERTIES OUTPUT_NAME gan2shape EXPORT_NAME gan2shape LINKER_LANGUAGE CXX SOVERSION ${PROJECT_VERSION_MAJOR}
                        VERSION ${PROJECT_VERSION} LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exports.map)
  if(SKBUILD)  # a wheel has no symbolic links
    set_target_properties(libgan2shape PROPERTIES VERSION ${PROJECT_VERSION_MAJOR})
  endif()
  target_include_directories(libgan2shape INTERFACE "$<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include;${PROJECT_BINARY_DIR}/include/gan2shape>"
                             "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR};${CMAKE_INSTALL_INCLUDEDIR}/gan2shape>")
  target_link_libraries(libgan2shape PRIVATE g2s_options Threads::Threads PNG::PNG OpenSSL::Crypto ZLIB::ZLIB ${EXIF_LIBRARY} ${XXHASH_LIBRARY} ${PUGIXML_LIBRARY}
                        ${G2S_PICTURE_LIBRARIES})
  g2s_link_cuda(libgan2shape)
  # Nothing that was linked into it is offered to others.
  target_link_options(libgan2shape PRIVATE LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map LINKER:--exclude-libs,ALL LINKER:-Bsymbolic-functions)
  if(NOT G2S_SANITIZE)
    target_link_options(libgan2shape PRIVATE LINKER:--no-undefined)
  endif()
endfunction()

# One object of all, so that no part is left out because nothing asks for it by name (the CUDA kernels are found by weak symbols), with the
# hidden symbols made local: it offers the same names as the shared library.
function(g2s_add_static_library)
  g2s_library_parts(targets objects)
  set(archive ${PROJECT_BINARY_DIR}/lib/libgan2shape.a)
  set(combined ${PROJECT_BINARY_DIR}/lib/gan2shape.o)
  set(runtime)
  if(G2S_CUDA_BACKEND STREQUAL "g2s_cuda")
    set(runtime $<TARGET_FILE:CUDA::cudart_static>)
  endif()
  add_custom_command(OUTPUT ${archive}
    COMMAND ${CMAKE_LINKER} -r --force-group-allocation -o ${combined} ${objects} ${runtime}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${combined}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
    COMMAND ${CMAKE_AR} qcs ${archive} ${combined}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${combined}
    DEPENDS ${targets} ${objects} COMMENT "Making lib/libgan2shape.a" COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(libgan2shape_static_file ALL DEPENDS ${archive})
  add_library(libgan2shape_static INTERFACE)
  add_library(gan2shape::static ALIAS libgan2shape_static)
  add_dependencies(libgan2shape_static libgan2shape_static_file)
  target_include_directories(libgan2shape_static INTERFACE ${PROJECT_BINARY_DIR}/include ${PROJECT_BINARY_DIR}/include/gan2shape)
  target_link_libraries(libgan2shape_static INTERFACE ${archive} Threads::Threads PNG::PNG OpenSSL::Crypto ZLIB::ZLIB
                        ${EXIF_LIBRARY} ${XXHASH_LIBRARY} ${PUGIXML_LIBRARY} ${G2S_PICTURE_LIBRARIES} ${CMAKE_DL_LIBS} stdc++ m)
endfunction()

function(g2s_install_headers)
  install(FILES include/gan2shape/gan2shape.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/gan2shape)
  g2s_public_headers(headers)
  foreach(header ${headers})
    get_filename_component(folder ${header} DIRECTORY)
    install(FILES ${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/gan2shape/${folder})
  endforeach()
endfunction()

# What the program wrote when it was built.
function(g2s_install_help)
  set(share ${PROJECT_BINARY_DIR}/share)
  install(DIRECTORY ${share}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR})
  install(DIRECTORY ${share}/bash-completion ${share}/fish ${share}/zsh DESTINATION share)
  # Debian's zsh looks for what packages bring in a place of its own.
  install(FILES ${share}/zsh/site-functions/_gan2shape DESTINATION share/zsh/vendor-completions)
endfunction()

function(g2s_install_package_files)
  include(CMakePackageConfigHelpers)
  set(folder ${CMAKE_INSTALL_LIBDIR}/cmake/gan2shape)
  configure_package_config_file(cmake/gan2shapeConfig.cmake.in ${PROJECT_BINARY_DIR}/gan2shapeConfig.cmake INSTALL_DESTINATION ${folder}
                                PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/gan2shapeConfigVersion.cmake COMPATIBILITY SameMajorVersion)
  install(EXPORT gan2shapeTargets NAMESPACE gan2shape:: DESTINATION ${folder})
  install(FILES ${PROJECT_BINARY_DIR}/gan2shapeConfig.cmake ${PROJECT_BINARY_DIR}/gan2shapeConfigVersion.cmake DESTINATION ${folder})
  # The prefix is where the file lies, whatever it was installed as.
  file(RELATIVE_PATH G2S_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  configure_file(cmake/gan2shape.pc.in ${PROJECT_BINARY_DIR}/gan2shape.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/gan2shape.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

function(g2s_package)
  set(CPACK_GENERATOR DEB)
  set(CPACK_PACKAGE_NAME gan2shape)
  set(CPACK_PACKAGE_VENDOR gan2shape)
  set(CPACK_PACKAGE_CONTACT "the developers of gan2shape <gan2shape@localhost>")
  set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "From one picture to a relightable 3D mesh: program, library and headers")
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
  set(CPACK_STRIP_FILES ON)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_SECTION science)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_PACKAGE_SUGGESTS nlohmann-json3-dev)  # for some of the C++ headers
  include(CPack)
endfunction()

function(g2s_add_install)
  if(TARGET gan2shape)
    file(RELATIVE_PATH library_from_program /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
    set_target_properties(gan2shape PROPERTIES INSTALL_RPATH "$ORIGIN/${library_from_program}")
    install(TARGETS gan2shape)
    g2s_install_help()
  endif()
  install(TARGETS libgan2shape EXPORT gan2shapeTargets)
  install(FILES ${PROJECT_BINARY_DIR}/lib/libgan2shape.a DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY assets/ DESTINATION share/gan2shape/assets)
  install(FILES LICENSE NOTICE DESTINATION share/gan2shape)
  install(DIRECTORY licenses DESTINATION share/gan2shape)
  g2s_install_headers()
  g2s_install_package_files()
  g2s_package()
endfunction()
