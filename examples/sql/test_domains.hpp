// SPDX-License-Identifier: Apache-2.0
// The tables of the test questions; schema.hpp defines the format of a line.
#pragma once
#include <string_view>

namespace sql {

/// Tables that no training question names: they share no word of a table's or column's name with the others.
inline constexpr std::string_view test_domains = R"(
film/films | title | mood: tense, funny, dark, warm | studio: Arrow, Meteor, Lotus | runtime: +70..200
  | score: 1.0..9.9 | premiere: year 1960..2023;
apartment/apartments | label | heater: gas, solar, wood | tenant: family, couple, student | floor: 1..20
  | area: +25..180 | rent: +300..900;
vineyard/vineyards | title | valley: Napa, Douro, Loire, Barossa | slope: flat, gentle, steep | area: +3..90
  | harvest: +10..400 | cellar_capacity: +20..800;
podcast/podcasts | title | topic: politics, cooking, chess, space | format: interview, story, debate
  | audience: +50..900 | episode_tempo: 1..12 | score: 1.0..9.9;
parrot/parrots | alias | origin: Peru, Ghana, Java | mood: calm, noisy, shy | lifespan: 10..80
  | vocabulary: +2..90 | cost: +50..900;
cafe/cafes | title | neighborhood: old town, riverside, campus | decor: modern, rustic, retro | revenue: +10..300
  | capacity: +8..120 | score: 1.0..9.9;
tunnel/tunnels | label | transport: rail, road, foot | ground: chalk, granite, clay | depth: 5..300
  | length: +1..60 | construction_cost: +5..900;
volcano/volcanoes | title | island: Java, Hawaii, Sicily | activity: dormant, active, extinct
  | altitude: 300..5000 | crater_diameter: 50..900 | eruption: year 1700..2022;
athlete/athletes | alias | discipline: rowing, judo, archery, fencing | nation: Cuba, Latvia, Ghana
  | medal_tally: +1..20 | prize: +5..300 | debut: year 1990..2023;
perfume/perfumes | label | scent: rose, cedar, lemon, musk | bottle: round, square, tall | cost: +15..200
  | stock: +5..300 | intensity: 1..9;
warehouse/warehouses | label | content: tools, paper, toys | security: guard, camera, fence | area: +90..900
  | capacity: +20..800 | rent: +100..900;
poem/poems | title | author: monk, nurse, sailor | tone: sad, proud, comic | verse_tally: +4..90
  | publication: year 1700..2020 | score: 1.0..9.9;
robot/robots | alias | task: welding, sorting, painting | drive: wheel, track, leg | speed: 1..40
  | endurance: 1..48 | cost: +90..900;
spice/spices | label | flavor: hot, sweet, bitter | origin: India, Iran, Mexico | cost: +1..60
  | stock: +5..400 | purity: 50..99;
submarine/submarines | alias | patrol: Arctic, Pacific, Baltic | engine: diesel, nuclear, electric
  | depth: 50..900 | speed: 5..45 | commissioning: year 1955..2022;
tournament/tournaments | title | venue: arena, stadium, beach | sponsor: brewery, bank, radio | prize: +5..900
  | attendance: +20..900 | kickoff: date 2021..2024;
aria/arias | title | composer: Italian, Czech, Russian | tempo: slow, lively, brisk
  | length: +60..400 | publication: year 1780..1930;
mine/mines | title | ore: iron, copper, gold, zinc | operator: state, union, trust | depth: 40..900
  | output: +5..500 | wage: 12..90;
reptile/reptiles | alias | habitat: desert, swamp, forest | diet: mice, plants, insects | lifespan: 2..90
  | length: 5..400 | toxicity: 0.1..9.9;
pharmacy/pharmacies | title | neighborhood: center, harbor, campus | chain: Lotus, Arrow, Maple | stock: +50..900
  | revenue: +10..500 | closing: date 2022..2024;
carpet/carpets | label | pattern: floral, plain, striped | origin: Iran, Turkey, India | area: +1..40
  | knot_density: 10..300 | cost: +20..900;
drone/drones | alias | operator: police, farmer, pilot | sensor: radar, sonar, camera | altitude: 20..900
  | speed: 10..120 | endurance: 5..90;
village/villages | title | climate: mild, humid, cold | dialect: Frisian, Saxon, Basque | population: +50..900
  | altitude: 5..900 | tax: 1.0..9.9;
auction/auctions | label | category: stamps, coins, clocks | venue: London, Geneva, Milan | bid: +10..900
  | attendance: +5..300 | closing: date 2020..2024;
festival/festivals | title | sponsor: brewery, bank, radio | category: dance, food, light | attendance: +90..900
  | length: +1..14 | entry_cost: 2..90;
)";

}  // namespace sql
