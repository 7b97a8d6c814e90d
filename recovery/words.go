package recovery

import "strings"

// wordList has one word for each byte. No two share their first three letters,
// sound alike by Soundex, or are fewer than three letters apart.
const wordList = `
	admiral airport album almond amber anchor angle arcade armor artist aspen athlete atlas attic autumn avenue
	avocado badge bakery balcony bamboo banana barley basket beach bedroom beetle bison bonfire border bracelet
	breeze bubble butter cabin cactus canyon carpet castle cedar cello cement chalk cherry chimney circus cliff
	clover cobweb coffee compass copper coral cotton cousin coyote cradle cricket crown crystal cucumber curtain
	cyclist daisy dancer dawn denim desert diamond doctor dolphin donkey dragon drum dwarf earth echo eclipse
	elbow elephant emerald engine envelope equator evening fabric family feather fiddle field finger flame
	forest fossil fountain frog furnace galaxy garden gazelle giraffe glacier goblet goose gorilla guitar helmet
	hippo horizon hotel husky hymn iceberg igloo inch infant iris island ivory jaguar jewel jigsaw juniper jury
	kangaroo kayak kernel kidney king kitchen koala ladder lagoon lantern laptop laurel lemon leopard library
	lilac lizard lobster locket lyric magnet mango maple meadow mercury metal midnight mirror mitten mosaic
	muffin museum napkin navy nectar nickel night noodle nurse nutmeg oasis oatmeal ocean octopus olive onion
	opera orange orbit orchid ostrich oxygen palace panda parrot pelican pencil piano pigeon pillow planet polar
	potato prairie pumpkin puppet purple pyramid quail queen quiver rabbit radish rainbow raven razor roof
	rubber sailor saturn school sculptor season sheriff silver skate sketch sled smoke soccer sofa spider stable
	stork sunset swan teapot temple tennis theater thunder toast topaz tornado tractor trumpet tulip tunnel
	tycoon umbrella unicorn urban vacuum vanilla vessel victory village violin volcano vulture waffle walnut
	wheat whisper window yacht yard yogurt zebra zenith zigzag zone`

// words is the list in its order, which is alphabetical.
func words() []string { return strings.Fields(wordList) }
