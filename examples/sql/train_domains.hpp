// SPDX-License-Identifier: Apache-2.0
// The tables of the training questions; schema.hpp defines the format of a line.
#pragma once
#include <string_view>

namespace sql {

/// Everyday tables; their words do not occur in dev_domains.hpp or test_domains.hpp.
inline constexpr std::string_view train_domains = R"(
book/books | name | genre: poetry, crime, fantasy, travel | language: French, German, Polish, Latin
  | page_count: +80..600 | year: year 1950..2022 | price: +5..60;
patient/patients | name | ward: surgery, heart, trauma, eye | insurance: public, private, foreign
  | age: 1..95 | bill: +100..900 | admission_date: date 2021..2024;
flight/flights | code | destination: Rome, Oslo, Cairo, Lima | aircraft: jet, propeller, glider
  | distance: +200..900 | delay: +5..90 | passenger_count: +20..300;
wine/wines | name | region: Rioja, Tuscany, Mosel, Alsace | grape: Merlot, Riesling, Syrah
  | year: year 1995..2021 | price: +6..90 | strength: 9.0..15.0;
employee/employees | name | department: sales, legal, design, finance | city: Paris, Madrid, Lyon, Turin
  | salary: +20..90 | age: 18..65 | hiring_date: date 2012..2023;
hotel/hotels | name | city: Vienna, Prague, Porto, Athens | star_count: 1..5 | room_count: +10..400
  | pool: indoor, outdoor, heated | price: 40..300;
car/cars | model | color: red, blue, black, white | fuel: petrol, diesel, gas | mileage: +10..250
  | year: year 1998..2023 | price: +2..60;
song/songs | name | genre: jazz, rock, folk, soul | singer: tenor, alto, bass | duration: +90..400
  | year: year 1960..2023 | play_count: +100..900;
team/teams | name | league: north, south, east | sport: hockey, rugby, handball, polo | win_count: +1..30
  | loss_count: +1..30 | budget: +10..500;
student/students | name | major: physics, law, music, history | campus: Riverside, Hilltop, Harbor
  | grade: 1.0..6.0 | age: 17..40 | credit_count: +10..180;
restaurant/restaurants | name | cuisine: Thai, Greek, Indian, Mexican | district: harbor, station, market
  | rating: 1.0..5.0 | seat_count: +12..150 | opening_year: year 1980..2023;
museum/museums | name | country: Spain, Japan, Egypt, Chile | theme: art, war, science, toys
  | visitor_count: +100..900 | ticket_price: 2..30 | founding_year: year 1850..2010;
mountain/mountains | name | country: Nepal, Peru, Kenya, Norway | difficulty: easy, medium, hard
  | elevation: 800..8000 | climb_count: +1..90 | hut_count: +1..12;
river/rivers | name | continent: Asia, Africa, Europe | mouth: sea, lake, delta | distance: +50..900
  | bridge_count: +1..80 | temperature: 4.0..25.0;
ship/ships | name | flag: Malta, Panama, Greece | cargo: grain, coal, oil, fruit | crew_size: +5..60
  | year: year 1975..2022 | load: +100..900;
tram/trams | code | line: green, yellow, silver | depot: west, central, airport | seat_count: +30..120
  | mileage: +50..900 | year: year 1970..2022;
course/courses | name | subject: algebra, biology, drama, French | level: beginner, advanced, expert
  | week_count: +2..30 | fee: +20..500 | start_date: date 2020..2024;
dog/dogs | name | breed: poodle, beagle, boxer, husky | color: brown, black, white, golden | weight: 3..60
  | age: 1..15 | birth_year: year 2008..2023;
plant/plants | name | family: rose, lily, daisy, palm | soil: clay, sand, peat | height: 5..300
  | price: +2..80 | leaf_count: +4..60;
movie_ticket/movie tickets | code | cinema: Odeon, Rex, Apollo | seat: front, middle, back | price: +5..25
  | row: 1..30 | sale_date: date 2022..2024;
house/houses | code | city: Leeds, Cork, Bath, York | roof: tile, slate, straw | room_count: +2..12
  | price: +90..900 | building_year: year 1880..2020;
phone/phones | model | color: gray, pink, black, white | screen: glass, plastic, sapphire | memory: 16..512
  | price: +90..999 | release_year: year 2010..2024;
laptop/laptops | model | processor: single, dual, quad | shell: metal, plastic, carbon | memory: 4..64 | weight: 0.9..4.0
  | price: +200..999 | warranty: 1..5;
bank_account/bank accounts | code | currency: euro, dollar, yen, pound | branch: north, center, harbor
  | balance: +10..900 | interest_rate: 0.1..5.0 | opening_date: date 2010..2024;
order_line/order lines | code | product: chair, lamp, desk, shelf | status: open, paid, sent
  | item_price: 5..200 | item_count: +1..40 | delivery_date: date 2022..2024;
customer/customers | name | country: Italy, Brazil, Canada, India | status: active, new, blocked | age: 18..90
  | purchase_count: +1..60 | balance: +5..900;
farm/farms | name | crop: wheat, corn, rice, oats | region: plain, hill, coast | field_count: +1..40
  | tractor_count: +1..12 | income: +20..500;
cow/cows | name | breed: Angus, Jersey, Holstein | barn: old, new, east | weight: 300..900 | age: 1..16
  | milk_yield: +5..40;
bird/birds | name | family: owl, finch, heron, gull | color: gray, brown, white | wing_span: 15..220
  | weight: 1..90 | egg_count: +1..9;
fish/fish | name | zone: reef, pond, lake | color: silver, orange, blue | weight: 1..80 | age: 1..30
  | catch_date: date 2020..2024;
insect/insects | name | family: ant, wasp, moth, beetle | color: red, green, black | leg_count: 6..30
  | wing_count: 2..8 | weight: 0.1..9.0;
planet/planets | name | star: Sirius, Vega, Rigel | surface: rock, gas, ice | moon_count: +1..60
  | temperature: 20..900 | discovery_year: year 1780..2020;
satellite/satellites | name | country: France, India, Japan, Brazil | orbit: low, polar, solar
  | weight: +10..900 | launch_year: year 1970..2024 | antenna_count: +1..12;
game/games | name | genre: puzzle, racing, strategy, sport | console: Atlas, Pixel, Nova | price: +5..70
  | rating: 1.0..9.9 | player_count: 1..8;
app/apps | name | license: free, trial, paid | language: C, Rust, Java, Python
  | version_count: +1..90 | download_count: +10..900 | release_date: date 2018..2024;
server/servers | name | system: Linux, Unix, Solaris | country: Finland, Ireland, Canada | memory: +8..512
  | core_count: +2..64 | load: 0.1..9.9;
newspaper/newspapers | name | language: Dutch, Czech, Greek, Irish | city: Ghent, Brno, Galway
  | page_count: +8..90 | reader_count: +20..900 | founding_year: year 1820..2010;
painting/paintings | name | painter: Dutch, Italian, Flemish | technique: oil, chalk, ink | year: year 1600..1990
  | price: +10..900 | height: 20..300;
statue/statues | name | city: Bern, Turin, Graz | stone: marble, granite, sandstone | height: 50..900
  | weight: 2..90 | year: year 1700..2000;
concert/concerts | name | hall: Apollo, Tivoli, Orpheum | genre: opera, rock, blues | ticket_price: 10..150
  | visitor_count: +50..900 | concert_date: date 2021..2024;
violin/violins | code | wood: maple, spruce, willow | country: Italy, France, Austria | year: year 1720..1990
  | price: +10..900 | repair_count: +1..12;
recipe/recipes | name | meal: lunch, dinner, snack | cuisine: Thai, Cuban, Turkish | cooking_time: 5..180
  | calorie_count: +50..900 | step_count: 2..20;
cheese/cheeses | name | animal: cow, goat, sheep | country: France, Italy, Spain | age: 1..36 | fat_share: 10..60
  | price: +3..50;
bakery/bakeries | name | city: Lille, Metz, Nantes | flour: rye, wheat, spelt | oven_count: +1..9
  | income: +20..300 | rating: 1.0..5.0;
coffee/coffees | name | country: Kenya, Peru, Brazil, Yemen | roast: light, medium, dark | price: +4..40
  | rating: 1.0..5.0 | year: year 2015..2024;
tea/teas | name | type: green, black, white, herbal | country: China, India, Japan | price: +2..50
  | brewing_time: 1..9 | temperature: 60..100;
shop/shops | name | district: north, harbor, castle | type: bakery, toy, shoe, flower | employee_count: +1..40
  | income: +10..500 | opening_year: year 1950..2023;
shoe/shoes | model | color: red, brown, black | type: boot, sandal, sneaker | size: 34..47 | price: +15..200
  | pair_count: +1..90;
shirt/shirts | model | color: white, blue, green | fabric: cotton, linen, silk, wool | size: 34..48
  | price: +8..120 | button_count: 3..12;
bicycle/bicycles | model | type: road, city, mountain | color: red, orange, black | gear_count: 1..27
  | weight: 7.0..18.0 | price: +90..900;
bus/buses | code | line: green, purple, gold | fuel: diesel, gas, battery | seat_count: +20..90
  | mileage: +10..900 | year: year 1995..2023;
driver/drivers | name | license: car, truck, bus | city: Bonn, Essen, Kiel | age: 18..70
  | trip_count: +5..900 | rating: 1.0..5.0;
bridge/bridges | name | type: arch, beam, cable | river: Rhine, Seine, Tagus | width: 4..60
  | lane_count: 1..8 | building_year: year 1800..2020;
castle/castles | name | country: Wales, France, Spain | status: ruin, museum, closed | tower_count: +1..12
  | year: year 1050..1700 | visitor_count: +5..800;
park/parks | name | city: Leeds, Porto, Ghent | type: forest, lake, meadow | tree_count: +20..900
  | bench_count: +5..90 | opening_year: year 1850..2020;
dentist/dentists | name | city: Basel, Bern, Graz | specialty: surgery, children, braces
  | patient_count: +50..900 | age: 28..70 | rating: 1.0..5.0;
teacher/teachers | name | subject: math, art, Latin, sport | school: Northside, Lakeview, Oakwood | age: 24..67
  | salary: +20..80 | hiring_date: date 2005..2024;
exam/exams | name | subject: physics, history, law | season: spring, summer, autumn | question_count: +10..90
  | pass_rate: 20..99 | exam_date: date 2020..2024;
soldier/soldiers | name | troop: infantry, navy, cavalry | country: Norway, Poland, Chile | age: 18..55
  | mission_count: +1..20 | height: 155..205;
runner/runners | name | club: Comet, Falcon, Otter | country: Kenya, Ethiopia, Jamaica | age: 16..60
  | race_count: +1..90 | finish_time: 120..400;
horse/horses | name | breed: Arabian, Shire, Haflinger | color: brown, gray, black | age: 2..28
  | race_count: +1..60 | win_count: +1..20;
storm/storms | name | ocean: Pacific, Atlantic, Indian | month: June, August, October | gust: 60..300
  | damage: +1..900 | year: year 1980..2024;
forecast/forecasts | code | city: Oslo, Cairo, Lima | sky: clear, cloudy, stormy
  | temperature: 1..40 | gust: 1..90 | forecast_date: date 2021..2024;
donation/donations | code | donor: company, person, club | purpose: school, forest, clinic | amount: +5..900
  | fee: 0.1..9.0 | donation_date: date 2020..2024;
invoice/invoices | code | client: hotel, farm, school | status: open, paid, late | price: +20..900
  | item_count: +1..50 | invoice_date: date 2021..2024;
)";

}  // namespace sql
